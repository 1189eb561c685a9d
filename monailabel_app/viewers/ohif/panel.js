// <mammosynth-panel>: choose a model and a source, generate, compare, draw, and see what was generated.

import './compare.js';
import './drawing.js';
import { cancelGeneration, clearGeneration, generate, generationState, onGeneration } from './generation.js';
import { activeProtocol, hang, protocols } from './hanging.js';
import { MammoSynthHistory } from './history.js';
import { buildControls, readValues } from './parameters.js';
import { info } from './server.js';
import { keepControlKeys } from './shortcuts.js';
import { sheet } from './style.js';
import {
  activeView,
  describe,
  isMammogram,
  isSynthesized,
  mammograms,
  onChange,
  sourceOf,
  sourcesOf,
} from './viewer.js';

const markup = `
  <header class="section stack">
    <div class="row spread">
      <h2>MammoSynth</h2>
      <span class="muted">Research only, not for diagnosis</span>
    </div>
    <div class="field">
      <label for="layout">Layout</label>
      <select id="layout"></select>
    </div>
  </header>
  <section aria-labelledby="generate-heading">
    <form class="stack" novalidate>
      <h3 id="generate-heading">Generate</h3>
      <div class="field">
        <label for="source">Source</label>
        <select id="source" aria-describedby="source-name"></select>
        <p id="source-name" class="muted"></p>
      </div>
      <div class="field">
        <label for="model">Task and model</label>
        <select id="model"></select>
      </div>
      <p id="card" class="muted"></p>
      <details id="scores" hidden>
        <summary>How good it was in tests</summary>
        <table>
          <caption></caption>
          <thead>
            <tr>
              <th scope="col">Measure</th><th scope="col">Model</th>
              <th scope="col">Floor</th><th scope="col">Ceiling</th>
            </tr>
          </thead>
          <tbody></tbody>
        </table>
      </details>
      <div id="parameters" class="stack"></div>
      <details>
        <summary>Advanced</summary>
        <div id="advanced" class="stack"></div>
      </details>
      <div class="row">
        <button type="submit" class="primary">Generate</button>
        <button type="button" id="cancel" hidden>Cancel</button>
      </div>
      <progress id="progress" max="1" value="0" aria-label="Progress of the synthesis" hidden></progress>
      <p id="status" class="muted" role="status"></p>
      <p id="error" class="error" role="alert" hidden></p>
    </form>
  </section>
  <mammosynth-compare></mammosynth-compare>
  <mammosynth-drawing></mammosynth-drawing>
  <mammosynth-history></mammosynth-history>`;

const own = new CSSStyleSheet();
own.replaceSync(`
  :host { height: 100%; overflow-y: auto; background: #090c29; }
  #advanced { padding-top: 8px; }
  td + td { white-space: nowrap; }
`);

// The last mask of each source, by SOP Instance UID; OHIF takes the panel down whenever it is folded away.
const masks = new Map();

/** The panel on the right of the viewer. */
export class MammoSynthPanel extends HTMLElement {
  connectedCallback() {
    if (!this.shadowRoot) this.build();
    this.subscriptions = [onGeneration(state => this.showState(state)), onChange(() => this.refresh())];
    this.showState(generationState());
    this.refresh();
    this.loadModels();
  }

  disconnectedCallback() {
    this.subscriptions.forEach(unsubscribe => unsubscribe());
  }

  find(selector) {
    return this.shadowRoot.querySelector(selector);
  }

  build() {
    const root = this.attachShadow({ mode: 'open' });
    root.adoptedStyleSheets = [sheet, own];
    root.innerHTML = markup;
    keepControlKeys(this);
    this.find('#layout').addEventListener('change', ({ target }) => target.value && hang(target.value));
    this.find('#source').addEventListener('change', () => this.showSource());
    this.find('#model').addEventListener('change', () => this.showModel());
    this.find('#cancel').addEventListener('click', cancelGeneration);
    this.find('form').addEventListener('submit', event => {
      event.preventDefault();
      this.generate();
    });
    root.addEventListener('mammosynth-segmentation', ({ detail }) => {
      masks.set(detail.sourceSopInstanceUid, detail.sopInstanceUid);
      this.showMask();
    });
  }

  /** What the server offers, grouped by task. */
  async loadModels() {
    try {
      this.models = (await info()).models;
    } catch (error) {
      return this.showError(error.message);
    }
    const tasks = Object.groupBy(Object.entries(this.models), ([name, model]) => model.task || name);
    const groups = Object.entries(tasks).map(([task, models]) => {
      const group = document.createElement('optgroup');
      group.label = task;
      const offer = ([name, { bundle, version }]) => new Option(`${bundle || name} ${version ?? ''}`, name);
      group.append(...models.map(offer));
      return group;
    });
    const select = this.find('#model');
    const chosen = select.value;
    select.replaceChildren(...groups);
    if (chosen in this.models) select.value = chosen;
    else this.showModel();
  }

  showModel() {
    const model = this.models[this.find('#model').value];
    if (!model) return;
    this.find('#card').textContent = model.description;
    this.showScores(model.scores || {});
    buildControls(model.parameters, { main: this.find('#parameters'), advanced: this.find('#advanced') });
    this.showMask();
  }

  showScores({ split, images, patients, measures = [] }) {
    this.find('#scores').hidden = !measures.length;
    this.find('#scores caption').textContent = `${split} split: ${images} images of ${patients} patients`;
    this.find('#scores tbody').replaceChildren(...measures.map(scoreRow));
  }

  /** The image to synthesize from: that of the active viewport (or what it was made from), or the one chosen. */
  source() {
    const chosen = this.find('#source').value;
    if (chosen) return acquiredImages().find(({ sopInstanceUid }) => sopInstanceUid === chosen) || null;
    const view = activeView();
    if (!view || !isMammogram(view.displaySet)) return null;
    if (!isSynthesized(view.displaySet)) return view;
    const displaySet = sourceOf(view.displaySet);
    const [sopInstanceUid] = sourcesOf(view.displaySet, view.sopInstanceUid);
    return displaySet ? { displaySet, sopInstanceUid } : null;
  }

  /** Follow the viewer: its active viewport, the images of the study, its layout. */
  refresh() {
    this.showSources();
    const options = protocols.map(({ id, name }) => new Option(name, id));
    this.find('#layout').replaceChildren(new Option('As arranged', ''), ...options);
    this.find('#layout').value = activeProtocol();
  }

  showSources() {
    const select = this.find('#source');
    const chosen = select.value;
    const images = acquiredImages();
    select.value = '';
    const active = this.source();
    select.replaceChildren(
      new Option(active ? `Active: ${describe(active)}` : 'The active viewport shows no mammogram', ''),
      ...images.map(image => new Option(describe(image), image.sopInstanceUid))
    );
    select.value = images.some(({ sopInstanceUid }) => sopInstanceUid === chosen) ? chosen : '';
    this.showSource();
  }

  /** Say in full what the list cuts short. */
  showSource() {
    const source = this.source();
    this.find('#source-name').textContent = source ? describe(source) : 'Choose a viewport or an image.';
    this.showMask();
  }

  /** The mask that was drawn on the source, as the value of parameters that are segmentations. */
  showMask() {
    const mask = masks.get(this.source()?.sopInstanceUid) || '';
    this.shadowRoot.querySelectorAll('[data-type=segmentation]').forEach(control => (control.value = mask));
  }

  generate() {
    clearGeneration();
    const source = this.source();
    if (!source) return this.showError('Choose a source: the active viewport shows no mammogram.');
    try {
      generate(this.find('#model').value, source, readValues(this.shadowRoot));
    } catch (error) {
      return this.showError(error.message);
    }
    this.find('#cancel').focus();
  }

  showState({ running, progress, message, error }) {
    const hadFocus = this.shadowRoot.activeElement === this.find('#cancel');
    this.find('[type=submit]').disabled = running;
    this.find('#cancel').hidden = !running;
    this.find('#progress').hidden = !running;
    this.find('#progress').value = progress;
    const status = this.find('#status');
    const sentence = message.replace(/^./, letter => letter.toUpperCase());
    if (status.textContent !== sentence) status.textContent = sentence; // a screen reader says every change
    this.showError(error);
    if (hadFocus && !running) this.find('[type=submit]').focus();
  }

  showError(text) {
    this.find('#error').textContent = text;
    this.find('#error').hidden = !text;
  }
}

/** Every acquired mammogram that is loaded, as {displaySet, sopInstanceUid}. */
function acquiredImages() {
  const images = displaySet =>
    displaySet.instances.map(({ SOPInstanceUID: sopInstanceUid }) => ({ displaySet, sopInstanceUid }));
  return mammograms().filter(set => !isSynthesized(set)).flatMap(images);
}

/** A measured score with its interval, between the floor (a trivial method) and the ceiling (the best possible). */
function scoreRow({ name, value, interval, unit, floor, ceiling }) {
  const row = document.createElement('tr');
  const head = document.createElement('th');
  head.scope = 'row';
  head.textContent = unit ? `${name} (${unit})` : name;
  const cell = text => Object.assign(document.createElement('td'), { textContent: text });
  const between = interval ? ` [${interval.join(', ')}]` : '';
  row.append(head, cell(`${value}${between}`), cell(floor ?? ''), cell(ceiling ?? ''));
  return row;
}

if (!customElements.get('mammosynth-history')) customElements.define('mammosynth-history', MammoSynthHistory);
