// <mammosynth-compare>: how a source and the image synthesized from it, which hang side by side, are compared.

import { toggleUncertainty, uncertaintyOfPair } from './beside.js';
import { breastColumns } from './breast.js';
import { Comparison, DIFFERENCE_COLOURS } from './comparison.js';
import { createDivider } from './divider.js';
import { cornerstone } from './ohif.js';
import { viewName } from './orientation.js';
import { imageToCanvas } from './overlay.js';
import { addShortcuts, showShortcuts } from './shortcuts.js';
import { sheet } from './style.js';
import { isMadeFromImage, isSynthesized, isUncertainty, onChange, pair, services, views } from './viewer.js';

const MODES = { side: 'Side by side', overlay: 'Overlay', difference: 'Difference', swipe: 'Swipe' };
const CAPTIONS = {
  overlay: ({ opacity }) => `Overlay: ${percent(opacity)} synthesized`,
  difference: () => 'Difference: synthesized - source',
  swipe: () => 'Swipe: synthesized | source',
};
const TICK = 'To get it, tick Uncertainty above and press Generate.';
const NONE_OF_MODEL = 'The model that is chosen above gives none.';
const NOTHING_HANGS =
  'Nothing to compare on the screen. Generate, or press Show in the history below: source and result then hang side by side.';
const NO_SOURCE_HANGS = 'Nothing to compare: no acquired image that this one was made from hangs beside it.';
const MADE_FROM_DRAWING =
  'Nothing to compare: this image was made from a breast that was drawn or given by numbers, not from a mammogram. ' +
  'It shows the tissue of no patient: a mammogram beside it, even the one that was drawn on, is for the eye alone.';
const RANGES = [32, 64, 128, 255]; // displayed grey levels

const css = `
  fieldset { margin: 0; padding: 0; border: 0; }
  legend { padding: 0; color: #c7d5ec; font-size: 13px; }
  .modes {
    display: grid; grid-template-columns: auto auto; justify-content: start; gap: 4px 8px; white-space: nowrap;
  }
  .legend { height: 14px; border: 1px solid #5d77a8; background: linear-gradient(to right, ${DIFFERENCE_COLOURS}); }
`;
const own = new CSSStyleSheet();
own.replaceSync(css);

const html = `
  <section class="stack" aria-labelledby="title">
    <h3 id="title">Compare</h3>
    <p id="about" class="muted"></p>
    <p id="other-view" class="notice" hidden></p>
    <fieldset id="modes">
      <legend>Show the pair</legend>
      <div class="modes">${Object.entries(MODES)
        .map(([mode, text], index) => `<label class="inline"><input type="radio" name="mode" value="${mode}"> ${text}
          <kbd aria-hidden="true">${index + 1}</kbd></label>`)
        .join('')}</div>
    </fieldset>
    <label class="field" data-mode="overlay"><span>Synthesized: <output id="opacity-text"></output></span>
      <input id="opacity" type="range" min="0" max="100"></label>
    <label class="field" data-mode="swipe"><span>Divider: <output id="position-text"></output></span>
      <input id="position" type="range" min="0" max="100"></label>
    <div class="stack" data-mode="difference">
      <label class="field"><span>Range of the colours</span>
        <select id="range">
          ${RANGES.map(range => `<option value="${range}">±${range} grey levels</option>`).join('')}
        </select>
      </label>
      <div class="legend" role="img" aria-label="Blue: synthesized is darker; grey: the same; orange: brighter"></div>
      <div class="row spread muted"><span id="lowest"></span><span>0</span><span id="highest"></span></div>
      <p class="muted">Synthesized minus source in grey levels (0 to 255) as both viewports display them, so it changes
        with the windows.</p>
    </div>
    <div class="row">
      <button id="uncertainty" aria-keyshortcuts="u" aria-describedby="no-uncertainty"
        title="Standard deviation of every pixel: 1.645 of it either side are the 90 % interval of a calibrated model"
        >Uncertainty</button>
      <button id="keys" aria-keyshortcuts="?">Keyboard shortcuts</button>
    </div>
    <p id="no-uncertainty" class="muted" hidden></p>
  </section>`;

/** The section of the panel that compares. */
export class CompareSection extends HTMLElement {
  #settings = { mode: 'side', opacity: 0.5, position: 0.5, range: 128 };
  #isMoved = false; // the divider of this source, by a person; until then it keeps to the middle of the breast
  #pair = null;
  #isOneView = false; // both of the pair: pixels of a CC and an MLO are of other tissue
  #source = ''; // SOP Instance UID
  #shown = null;
  #remedy = ''; // what to do for a result that has no uncertainty
  #ends = [];

  connectedCallback() {
    if (!this.shadowRoot) this.#build();
    this.#ends = [onChange(() => this.#follow()), addShortcuts('Compare', this.#shortcuts()), () => this.#uncover()];
    this.#follow();
  }

  disconnectedCallback() {
    this.#ends.forEach(end => end());
    this.#pair = null;
  }

  /** Tell by the parameters (a JSON Schema) of the chosen model how a result gets an uncertainty. */
  offer({ properties = {} }) {
    this.#remedy = 'uncertainty' in properties ? TICK : NONE_OF_MODEL;
    this.#tellUncertainty();
  }

  #build() {
    const root = this.attachShadow({ mode: 'open' });
    root.adoptedStyleSheets = [sheet, own];
    root.innerHTML = html;
    this.#all('[name=mode]').forEach(radio => {
      radio.addEventListener('change', () => this.#set({ mode: radio.value }));
    });
    for (const name of ['opacity', 'position']) {
      this.#find(name).addEventListener('input', ({ target }) => this.#slide({ [name]: target.value / 100 }));
    }
    this.#find('range').addEventListener('change', ({ target }) => this.#set({ range: Number(target.value) }));
    this.#find('uncertainty').addEventListener('click', toggleUncertainty);
    this.#find('keys').addEventListener('click', showShortcuts);
  }

  #shortcuts() {
    const modes = Object.entries(MODES).map(([mode, label], index) => ({
      keys: [String(index + 1)],
      label,
      run: () => this.#choose(mode),
    }));
    return [
      ...modes,
      { keys: ['o'], label: 'Synthesized image and source in turn', run: () => this.#alternate() },
      { keys: ['u'], label: 'Uncertainty beside the pair, or not', run: toggleUncertainty },
      { keys: ['?'], label: 'These shortcuts', run: showShortcuts },
    ];
  }

  #choose(mode) {
    if (!this.#allows(mode)) return;
    this.#set({ mode });
    if (mode === 'overlay') this.#find('opacity').focus();
    if (mode === 'swipe') this.#shown.divider.focus();
  }

  #alternate() {
    if (!this.#allows('overlay')) return;
    const { mode, opacity } = this.#settings;
    this.#set({ mode: 'overlay', opacity: mode === 'overlay' && opacity === 1 ? 0 : 1 });
  }

  #allows(mode) {
    return Boolean(this.#pair) && (mode === 'side' || this.#isOneView);
  }

  #slide(settings) {
    if ('position' in settings) this.#isMoved = true;
    this.#set(settings);
  }

  #set(settings) {
    Object.assign(this.#settings, settings);
    this.#show();
  }

  /** Turn to the pair that hangs now. */
  #follow() {
    const viewport = view => services().cornerstoneViewportService.getCornerstoneViewport(view.viewportId);
    const found = pair();
    const [source, synthesized] = found ? [viewport(found.source), viewport(found.synthesized)] : [];
    const now = source && synthesized ? { source, synthesized } : null;
    const isSame = now?.source === this.#pair?.source && now?.synthesized === this.#pair?.synthesized;
    if (!isSame) this.#uncover();
    if (this.#source !== found?.source.sopInstanceUid) this.#isMoved = false;
    this.#source = found?.source.sopInstanceUid;
    this.#pair = now;
    const [here, there] = found ? [found.source, found.synthesized].map(nameOf) : [];
    this.#isOneView = here === there;
    this.#find('modes').disabled = !now;
    this.#all('[name=mode]').forEach(radio => (radio.disabled = !this.#allows(radio.value)));
    this.#find('other-view').hidden = !now || this.#isOneView;
    this.#find('other-view').textContent = `${here} and ${there} do not show the same tissue at the same place: they are compared side by side only.`;
    this.#tellUncertainty();
    this.#find('about').textContent = now
      ? `${found.source.displaySet.SeriesDescription} and ${found.synthesized.displaySet.SeriesDescription}`
      : nothingToCompare();
    this.#show();
  }

  #tellUncertainty() {
    const { exists, isShown } = uncertaintyOfPair();
    this.#find('uncertainty').disabled = !exists;
    this.#find('uncertainty').setAttribute('aria-pressed', String(isShown));
    this.#find('no-uncertainty').hidden = exists || !this.#pair;
    this.#find('no-uncertainty').textContent = `No uncertainty was made with this result, or it was deleted. ${this.#remedy}`;
  }

  #show() {
    const { opacity, position, range } = this.#settings;
    const mode = this.#allows(this.#settings.mode) ? this.#settings.mode : 'side';
    this.#all('[name=mode]').forEach(radio => (radio.checked = radio.value === mode));
    this.#all('[data-mode]').forEach(part => (part.hidden = !this.#pair || part.dataset.mode !== mode));
    for (const [name, value] of Object.entries({ opacity, position })) {
      this.#find(name).value = 100 * value;
      this.#find(`${name}-text`).value = percent(value);
    }
    this.#find('range').value = range;
    [this.#find('lowest').textContent, this.#find('highest').textContent] = [`-${range}`, `+${range}`];
    if (mode === 'side') return this.#uncover();
    this.#shown ??= this.#cover();
    const { comparison, divider, caption } = this.#shown;
    divider.element.style.display = mode === 'swipe' ? '' : 'none';
    divider.move(position);
    caption.textContent = CAPTIONS[mode](this.#settings);
    comparison.set(this.#settings);
  }

  #cover() {
    const { source, synthesized } = this.#pair;
    const comparison = new Comparison(source, synthesized, { ...this.#settings });
    const divider = createDivider(source.element, 'Divider: synthesized left, source right', position =>
      this.#slide({ position })
    );
    return { comparison, divider, caption: createCaption(source.element), middle: this.#keepInMiddle(source) };
  }

  /** Hold the divider in the middle of the breast, as it is seen, until a person moves it. */
  #keepInMiddle(source) {
    const { IMAGE_RENDERED } = cornerstone().cornerstone.Enums.Events;
    const follow = () => {
      const position = this.#isMoved ? null : middleOfBreast(source);
      if (position !== null && position !== this.#settings.position) this.#set({ position });
    };
    source.element.addEventListener(IMAGE_RENDERED, follow);
    queueMicrotask(follow);
    return { remove: () => source.element.removeEventListener(IMAGE_RENDERED, follow) };
  }

  #uncover() {
    if (!this.#shown) return;
    Object.values(this.#shown).forEach(part => part.remove());
    this.#shown = null;
  }

  /** @returns {any[]} */
  #all(selector) {
    return [...this.shadowRoot.querySelectorAll(selector)];
  }

  /** @returns {any} */
  #find(id) {
    return this.shadowRoot.getElementById(id);
  }
}

function nothingToCompare() {
  const made = views().filter(({ displaySet }) => isSynthesized(displaySet) && !isUncertainty(displaySet));
  if (!made.length) return NOTHING_HANGS;
  return made.some(({ displaySet }) => isMadeFromImage(displaySet)) ? NO_SOURCE_HANGS : MADE_FROM_DRAWING;
}

/** The side and view of what a viewport shows. */
const nameOf = ({ displaySet, sopInstanceUid }) =>
  viewName(displaySet.instances.find(({ SOPInstanceUID }) => SOPInstanceUID === sopInstanceUid));

const percent = share => `${Math.round(100 * share)} %`;

/** The middle of what is seen of the breast, as a share of the viewport's width; null as long as nothing is seen. */
function middleOfBreast(viewport) {
  const matrix = imageToCanvas(viewport);
  if (!matrix) return null;
  const { imageData, scalarData } = viewport.getImageData();
  const [columns, rows] = imageData.getDimensions();
  const instance = cornerstone().cornerstone.metaData.get('instance', viewport.getCurrentImageId());
  const { width } = viewport.getCanvas();
  const corners = breastColumns(instance, scalarData, columns, rows).flatMap(x => [0, rows].map(y => new DOMPoint(x, y)));
  const places = corners.map(corner => Math.min(1, Math.max(0, matrix.transformPoint(corner).x / width)));
  return (Math.min(...places) + Math.max(...places)) / 2;
}

/** What the viewport shows instead of its own image, in words on it, beside the icon that OHIF puts at its right. */
function createCaption(element) {
  const caption = document.createElement('div');
  caption.className = 'mammosynth-caption';
  caption.style.cssText =
    'position: absolute; top: 8px; left: 8px; right: 40px; width: fit-content; margin: auto; padding: 2px 6px; ' +
    'border-radius: 4px; background: #04122e; color: #fff; font: 12px sans-serif; pointer-events: none; z-index: 3;';
  element.append(caption);
  return caption;
}

if (!customElements.get('mammosynth-compare')) customElements.define('mammosynth-compare', CompareSection);
