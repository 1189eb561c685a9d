// <mammosynth-history>: what was synthesized in the open study, with its provenance; each can be shown or deleted.

import { showBeside } from './beside.js';
import { imageOf, provenanceOf, summaryOf } from './entries.js';
import { clearGenerationOf, onGeneration } from './generation.js';
import { deleteSynthesized, synthesized } from './server.js';
import { sheet } from './style.js';
import { displaySetsOf, forget, forgetDeleted, loadSeries, onChange, sourceOf, sourcesOf, studyUid } from './viewer.js';

const markup = `
  <section class="stack" aria-labelledby="heading">
    <div class="row spread">
      <h3 id="heading" tabindex="-1">History of this study</h3>
      <button type="button" id="refresh">Refresh</button>
    </div>
    <p id="deleted" class="notice" role="status" hidden></p>
    <p id="status" class="muted" role="status"></p>
    <p id="error" class="error" role="alert" hidden></p>
    <ol class="stack" role="list"></ol>
  </section>`;

const own = new CSSStyleSheet();
own.replaceSync(`
  ol { margin: 0; padding: 0; list-style: none; }
  article { padding: 8px; border: 1px solid #2c4a7c; border-radius: 4px; background: #0b1a3a; }
  h3:focus { outline: none; }
`);

/** The section of the panel. */
export class MammoSynthHistory extends HTMLElement {
  connectedCallback() {
    if (!this.shadowRoot) {
      const root = this.attachShadow({ mode: 'open' });
      root.adoptedStyleSheets = [sheet, own];
      root.innerHTML = markup;
      this.find('#refresh').addEventListener('click', () => this.refresh());
    }
    const begin = () => {
      this.find('#deleted').hidden = true;
      this.refresh();
    };
    const ended = ({ running, message, error }) => !running && message && !error && begin();
    const moved = () => studyUid() !== this.study && begin();
    this.subscriptions = [onGeneration(ended), onChange(moved), onReturn(() => this.refresh())];
    this.refresh();
  }

  disconnectedCallback() {
    this.subscriptions.forEach(unsubscribe => unsubscribe());
  }

  find(selector) {
    return this.shadowRoot.querySelector(selector);
  }

  /** Read the list again from the archive; an answer that is overtaken by a later question is not taken in. */
  async refresh() {
    const study = (this.study = studyUid());
    if (!study) return;
    const turn = (this.turn = (this.turn || 0) + 1);
    await this.attempt(async () => {
      const series = await synthesized(study);
      if (turn !== this.turn) return;
      this.entries = series;
      this.find('#status').textContent = series.length ? '' : 'Nothing was generated in this study yet. Press Generate above.';
      this.find('ol').replaceChildren(...series.map(entry => this.buildEntry(entry)));
      this.tellDeleted(await forgetDeleted(study, series.map(each => each.series_instance_uid)));
    });
  }

  /** Say what has gone from the screen, as somebody else, or another tab, has deleted it. */
  tellDeleted(displaySets) {
    if (!displaySets.length) return;
    clearGenerationOf(displaySets.map(({ SeriesInstanceUID }) => SeriesInstanceUID));
    const names = [...new Set(displaySets.map(({ SeriesDescription }) => SeriesDescription))].join(', ');
    const notice = this.find('#deleted');
    notice.textContent = `Deleted from the archive meanwhile, and so no longer shown: ${names}.`;
    notice.hidden = false;
    notice.scrollIntoView({ block: 'nearest' });
  }

  /** Run an action; what goes wrong is said in words. */
  async attempt(action) {
    const error = this.find('#error');
    error.hidden = true;
    try {
      await action();
    } catch (problem) {
      error.textContent = problem.message;
      error.hidden = false;
    }
  }

  buildEntry(entry) {
    const item = document.createElement('li');
    const name = entry.series_description || 'Series without description';
    item.innerHTML = `
      <article class="stack">
        <h4></h4>
        <p data-summary></p>
        <details>
          <summary>How it was made</summary>
          <dl></dl>
        </details>
        <div class="row" data-actions>
          <button type="button" data-show>Show</button>
          <button type="button" class="danger" data-delete>Delete</button>
        </div>
        <div class="stack" role="group" data-confirmation hidden>
          <p></p>
          <div class="row">
            <button type="button" class="danger" data-confirm>Delete for good</button>
            <button type="button" data-keep>Keep</button>
          </div>
        </div>
      </article>`;
    const part = selector => item.querySelector(selector);
    const summary = summaryOf(entry, name);
    const full = [name, summary].filter(Boolean).join(', ');
    part('h4').textContent = name;
    part('[data-summary]').textContent = summary;
    part('dl').append(...provenanceOf(entry).flatMap(describe));
    part('[data-show]').setAttribute('aria-label', `Show ${full}`);
    part('[data-delete]').setAttribute('aria-label', `Delete ${full}`);
    part('[data-delete]').hidden = !entry.removable;
    part('[data-confirmation]').setAttribute('aria-label', `Delete ${full}?`);
    part('[data-confirmation] p').textContent = 'Delete this series from the archive? This cannot be undone.';
    part('[data-show]').addEventListener('click', () => this.attempt(() => this.show(entry)));
    const ask = asking => {
      part('[data-confirmation]').hidden = !asking;
      part('[data-actions]').hidden = asking;
      part(asking ? '[data-keep]' : '[data-delete]').focus();
    };
    part('[data-delete]').addEventListener('click', () => ask(true));
    part('[data-keep]').addEventListener('click', () => ask(false));
    part('[data-confirm]').addEventListener('click', () => this.attempt(() => this.remove(entry)));
    return item;
  }

  /** Hang an image beside its source; an uncertainty beside the image that it is of, too. */
  async show(entry) {
    const [uid] = entry.source_sop_instance_uids || [];
    const image = entry.role === 'uncertainty' && imageOf(entry, this.entries);
    const series = [image, entry].filter(Boolean).map(each => each.series_instance_uid);
    const displaySets = await loadSeries(this.study, series);
    const ofSource = set => !uid || sourcesOf(set).includes(uid);
    const hung = series.map(each => displaySets.find(set => set.SeriesInstanceUID === each && ofSource(set)));
    const source = sourceOf(hung.at(-1));
    await (source ? showBeside(source, hung, uid) : showBeside(hung[0], hung.slice(1)));
    this.find('#status').textContent = source ? '' : 'The image that this was made from is not in this study.';
  }

  async remove({ series_instance_uid, series_description }) {
    await deleteSynthesized(this.study, series_instance_uid);
    forget(displaySetsOf(series_instance_uid));
    clearGenerationOf([series_instance_uid]);
    await this.refresh();
    this.find('#status').textContent = `Deleted: ${series_description}`;
    this.find('#heading').focus();
  }
}

/** Call back whenever a person comes back to this tab, or window: in another one they may have generated or deleted. */
function onReturn(callback) {
  const follow = () => document.visibilityState === 'visible' && callback();
  document.addEventListener('visibilitychange', follow);
  window.addEventListener('focus', follow);
  return () => {
    document.removeEventListener('visibilitychange', follow);
    window.removeEventListener('focus', follow);
  };
}

function describe([label, value, whole]) {
  const [term, detail] = [document.createElement('dt'), document.createElement('dd')];
  term.textContent = label;
  detail.textContent = value;
  if (whole) detail.title = whole;
  return [term, detail];
}

if (!customElements.get('mammosynth-history')) customElements.define('mammosynth-history', MammoSynthHistory);
