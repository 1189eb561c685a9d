// <mammosynth-panel>: choose a model and a source, generate, compare, draw, and see what was generated.

import './compare.js';
import './drawing.js';
import { cancelGeneration, clearGeneration, generate, generationState, onGeneration } from './generation.js';
import { activeProtocol, hang, protocols } from './hanging.js';
import './history.js';
import { onDrawing } from './lesions.js';
import { buildControls, keptValues, readValues, validValues } from './parameters.js';
import './remarks.js';
import { scoreRow } from './scores.js';
import { onSegmentations } from './segmentations.js';
import { previewCss } from './preview.js';
import { capitalized, counted } from './sentences.js';
import { info } from './server.js';
import { keepControlKeys } from './shortcuts.js';
import { canMakeAllViews, SlotControls, sourceSlot } from './slots.js';
import { referenceTo, SourceChoice } from './sources.js';
import './stored.js';
import { keep, kept } from './storage.js';
import { sheet } from './style.js';
import './tour.js';
import { activeView, describe, onChange, studyUid } from './viewer.js';

const markup = `
  <mammosynth-tour></mammosynth-tour>
  <header class="section stack">
    <div class="row spread">
      <h2>MammoSynth</h2>
      <span class="row">
        <button type="button" id="tour">Tour</button>
        <a href="/docs-site/tutorials/compare-in-ohif.html" target="_blank" rel="noopener">Help</a>
      </span>
    </div>
    <span class="muted">Research only, not for diagnosis</span>
    <div class="field">
      <label for="layout">Layout</label>
      <select id="layout"></select>
    </div>
  </header>
  <section aria-labelledby="generate-heading">
    <form class="stack" novalidate>
      <h3 id="generate-heading">Generate</h3>
      <div class="field" id="source-field">
        <label for="source">Source</label>
        <select id="source" aria-describedby="source-name"></select>
        <p id="source-name" class="muted"></p>
        <p id="refusal" class="notice" role="status" hidden></p>
      </div>
      <div class="field">
        <label for="model">Task and model</label>
        <select id="model"></select>
        <p id="no-model" class="notice" hidden>
          This server has no model, so nothing can be generated. Whoever runs it installs one:
          <a href="/docs-site/how-to/add-a-model.html" target="_blank" rel="noopener">how to add one</a>.
        </p>
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
        <a href="/docs-site/concepts/renderings.html#floors-and-ceilings" target="_blank" rel="noopener">
          What floor and ceiling are
        </a>
      </details>
      <div id="slots" class="stack"></div>
      <div id="parameters" class="stack"></div>
      <details>
        <summary>Advanced</summary>
        <div id="advanced" class="stack"></div>
      </details>
      <div class="stack" id="actions">
        <div class="row">
          <button type="submit" class="primary">Generate</button>
          <button type="button" id="all-views" title="Generate from every view of this study that the model accepts">
            All views
          </button>
          <button type="button" id="cancel" hidden>Cancel</button>
        </div>
        <progress id="progress" max="1" value="0" aria-label="Progress of the synthesis" hidden></progress>
        <p id="status" class="muted" role="status"></p>
        <p id="new-study" hidden><a>Open the new study</a></p>
        <mammosynth-remarks hidden></mammosynth-remarks>
      </div>
      <div id="refused" class="notice" hidden>
        <p>Not generated:</p>
        <ul></ul>
      </div>
      <p id="error" class="error" role="alert" hidden></p>
    </form>
  </section>
  <mammosynth-compare></mammosynth-compare>
  <mammosynth-drawing></mammosynth-drawing>
  <mammosynth-stored></mammosynth-stored>
  <mammosynth-history></mammosynth-history>`;

const own = new CSSStyleSheet();
own.replaceSync(`
  :host { height: 100%; overflow-y: auto; scroll-padding-bottom: 96px; background: #090c29; }
  #actions { position: sticky; bottom: 0; z-index: 1; gap: 4px; padding: 8px 0; background: #090c29; }
  #advanced { padding-top: 8px; }
  #refused ul { margin: 0; padding-left: 20px; }
  textarea { font: 12px ui-monospace, monospace; resize: vertical; }
  #slots .muted { white-space: pre-line; }
  td + td { white-space: nowrap; }
  ${previewCss}
`);

const MODEL = 'mammosynth.model';

/** What a person chose, kept when OHIF takes the panel down, which it does whenever the panel is folded away. */
const chosen = { model: kept(MODEL) ?? '', values: {} };

/** The panel on the right of the viewer. */
export class MammoSynthPanel extends HTMLElement {
  connectedCallback() {
    if (!this.shadowRoot) this.build();
    this.subscriptions = [
      onGeneration(state => this.showState(state)),
      onChange(() => this.refresh()),
      onSegmentations(() => this.offer()),
      onDrawing(drawing => drawing.isStroking || this.offer()),
    ];
    this.showState(generationState());
    this.refresh();
    this.loadModels();
  }

  disconnectedCallback() {
    this.slots.leave();
    chosen.values = validValues(this.shadowRoot);
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
    this.slots = new SlotControls(this.find('#slots'));
    this.sources = new SourceChoice(this.find('#source'), this.find('#source-name'), () => this.offer());
    this.find('#layout').addEventListener('change', ({ target }) => target.value && hang(target.value));
    this.find('#tour').addEventListener('click', () => this.find('mammosynth-tour').start());
    this.find('#model').addEventListener('change', () => this.showModel());
    this.find('#cancel').addEventListener('click', cancelGeneration);
    this.find('#all-views').addEventListener('click', () => this.generate({ allViews: true }));
    this.find('form').addEventListener('submit', event => {
      event.preventDefault();
      this.generate();
    });
  }

  /** The image to synthesize from. */
  source() {
    return this.sources.source;
  }

  /** What the server offers, grouped by task. */
  async loadModels() {
    try {
      this.models = (await info()).models;
    } catch (error) {
      return this.showError(error.message);
    }
    const tasks = Object.groupBy(Object.entries(this.models), ([name, { task }]) => task || name);
    const groups = Object.values(tasks).map(models => {
      const group = document.createElement('optgroup');
      group.label = models[0][1].title || models[0][1].task;
      const offer = ([name, { bundle, version }]) => new Option(`${bundle || name} ${version ?? ''}`, name);
      group.append(...models.map(offer));
      return group;
    });
    const select = this.find('#model');
    select.replaceChildren(...groups);
    select.disabled = !groups.length;
    this.find('#no-model').hidden = groups.length > 0;
    this.allow();
    if (chosen.model in this.models) select.value = chosen.model;
    this.showModel();
  }

  /** Build what belongs to the chosen model; what was chosen for the last one is kept where both know it. */
  showModel() {
    const name = this.find('#model').value;
    const model = this.models[name];
    if (!model) return;
    if (this.model) chosen.values = { ...chosen.values, ...validValues(this.shadowRoot) };
    const before = this.models[chosen.model] || model;
    chosen.values = keptValues(chosen.values, before.parameters, model.parameters);
    this.model = model;
    chosen.model = name;
    keep(MODEL, name);
    this.find('#card').textContent = model.description;
    this.showScores(model.scores || {});
    const places = { main: this.find('#parameters'), advanced: this.find('#advanced') };
    buildControls(model.parameters, places, chosen.values);
    this.slots.build(name, model.slots);
    this.find('mammosynth-drawing').offer(name, model.slots);
    this.find('mammosynth-compare').offer(model.parameters);
    this.find('#source-field').hidden = !sourceSlot(model.slots);
    this.find('#all-views').hidden = !canMakeAllViews(model.slots);
    this.offer();
    this.askForSources();
  }

  showScores({ split, images, patients, measures = [] }) {
    this.find('#scores').hidden = !measures.length;
    this.find('#scores caption').textContent = `${split} split: ${counted(images, 'image')} of ${counted(patients, 'patient')}`;
    this.find('#scores tbody').replaceChildren(...measures.map(scoreRow));
  }

  /** Follow the viewer: its active viewport, the images of the study, its layout. */
  refresh() {
    this.sources.follow();
    this.askForSources();
    const options = protocols.map(({ id, name }) => new Option(name, id));
    this.find('#layout').replaceChildren(new Option('As arranged', ''), ...options);
    this.find('#layout').value = activeProtocol();
  }

  async askForSources() {
    const model = this.model && sourceSlot(this.model.slots) ? chosen.model : '';
    try {
      await this.sources.ask(studyUid(), model);
    } catch (error) {
      this.showError(error.message);
    }
  }

  /** Let the slots follow source, images, drawings and stored segmentations; say why a source cannot be used. */
  offer() {
    if (!this.model) return;
    const asChoice = image => ({ ...image, name: describe(image), reference: referenceTo(image) });
    const source = sourceSlot(this.model.slots) ? this.source() : this.sources.active;
    this.slots.offer({
      source: source && asChoice(source),
      active: activeView(),
      study: studyUid(),
      images: this.sources.accepted.map(asChoice),
    });
    const { refusal } = this.sources;
    this.find('mammosynth-remarks').show();
    this.find('#refusal').hidden = !refusal;
    if (this.find('#refusal').textContent !== refusal) this.find('#refusal').textContent = refusal;
    this.allow();
  }

  /** What can be pressed now. */
  allow() {
    const { running } = generationState();
    const refused = this.model && sourceSlot(this.model.slots) && this.sources.refusal;
    this.find('[type=submit]').disabled = running || !this.model || Boolean(refused);
    this.find('#all-views').disabled = running || !this.sources.accepted.length;
  }

  async generate({ allViews = false } = {}) {
    if (this.isPreparing || generationState().running) return;
    clearGeneration();
    this.isPreparing = true; // a drawing is stored first: a second press meanwhile is the same one
    const [model, study] = [chosen.model, studyUid()];
    try {
      const parameters = readValues(this.shadowRoot);
      const inputs = await this.slots.read({ allViews });
      generate({ model, inputs, parameters }, study);
    } catch (error) {
      return this.showError(error.message);
    } finally {
      this.isPreparing = false;
    }
    this.find('#cancel').focus({ preventScroll: true }); // it is in sight, yet browsers scroll to where it would lie
  }

  showState({ running, progress, message, error, refused, link }) {
    const hadFocus = this.shadowRoot.activeElement === this.find('#cancel');
    this.allow();
    this.find('#cancel').hidden = !running;
    this.find('#progress').hidden = !running;
    this.find('#progress').value = progress;
    const sentence = capitalized(message);
    const status = this.find('#status');
    if (status.textContent !== sentence) status.textContent = sentence; // a screen reader says every change
    this.find('mammosynth-remarks').show();
    this.find('#new-study').hidden = !link;
    this.find('#new-study a').href = link;
    this.find('#refused').hidden = !refused.length;
    this.find('#refused ul').replaceChildren(
      ...refused.map(textContent => Object.assign(document.createElement('li'), { textContent }))
    );
    this.showError(error);
    if (hadFocus && !running) this.find('[type=submit]').focus({ preventScroll: true });
  }

  showError(text) {
    const error = this.find('#error');
    if (error.textContent === text) return;
    error.textContent = text;
    error.hidden = !text;
    if (text) error.scrollIntoView({ block: 'nearest' });
  }
}
