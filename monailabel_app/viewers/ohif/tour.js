// <mammosynth-tour>: five steps through the panel, offered at the first visit and again whenever somebody asks for it.

import { lasting } from './storage.js';
import { sheet } from './style.js';

const SEEN = 'mammosynth.tour'; // kept once it was taken or skipped
const MARGIN = 8; // pixels above what is outlined
const STEPS = [
  {
    target: '#source-field',
    title: 'Choose a view',
    text: 'Click on a view of the study: it becomes the source. One that cannot be used says why.',
  },
  {
    target: '#model',
    title: 'Choose what to make',
    text: 'A contrast image, the other view, or a mammogram from a drawing. How good it was in tests stands below.',
  },
  {
    target: '[type=submit]',
    title: 'Generate',
    text: 'The result hangs beside its source, is stored in the study, and is marked as synthesized.',
  },
  {
    target: 'mammosynth-compare',
    title: 'Compare',
    text: 'Side by side, overlay, difference, swipe: keys 1 to 4. The key ? lists all.',
  },
  {
    target: 'mammosynth-drawing',
    title: 'Draw, and look back',
    text: 'Draw lesions and label maps here; the history below tells what was made, by which model, and deletes it.',
  },
];

const markup = `
  <section class="stack notice" aria-labelledby="title" hidden>
    <h3 id="title" tabindex="-1"></h3>
    <p id="text"></p>
    <div class="row">
      <button type="button" id="back">Back</button>
      <button type="button" id="next" class="primary"></button>
      <button type="button" id="skip">Skip the tour</button>
    </div>
  </section>`;

const own = new CSSStyleSheet();
own.replaceSync(`
  :host { position: sticky; top: 0; z-index: 2; } /* over the buttons that stick to the bottom */
  section { margin: 8px; background: #0b1a3a; }
  h3:focus { outline: none; }
`);

/** A box at the top of the panel, which stays in sight while the panel scrolls to what it speaks of. */
export class MammoSynthTour extends HTMLElement {
  #step = -1; // the offer
  #shown = null;

  connectedCallback() {
    if (!this.shadowRoot) this.#build();
    lasting.kept(SEEN).then(seen => seen || this.#show(-1));
  }

  disconnectedCallback() {
    this.#outline(null);
  }

  /** Begin with the first step. */
  start() {
    this.#show(0, true);
  }

  #build() {
    const root = this.attachShadow({ mode: 'open' });
    root.adoptedStyleSheets = [sheet, own];
    root.innerHTML = markup;
    this.#find('#back').addEventListener('click', () => this.#show(this.#step - 1, true));
    this.#find('#next').addEventListener('click', () => this.#show(this.#step + 1, true));
    this.#find('#skip').addEventListener('click', () => this.#end());
    this.addEventListener('keydown', event => event.key === 'Escape' && this.#end());
  }

  #find(selector) {
    return this.shadowRoot.querySelector(selector);
  }

  get #panel() {
    return /** @type {ShadowRoot} */ (this.getRootNode());
  }

  #show(step, byHand = false) {
    if (step >= STEPS.length) return this.#end();
    this.#step = step;
    const { target, title, text } = STEPS[step] || {
      title: 'New here?',
      text: 'Five steps show what is where.',
    };
    this.#find('section').hidden = false;
    this.#find('#title').textContent = step < 0 ? title : `${step + 1} of ${STEPS.length}: ${title}`;
    this.#find('#text').textContent = text;
    this.#find('#back').hidden = step < 1;
    this.#find('#skip').hidden = step === STEPS.length - 1;
    this.#find('#next').textContent = step < 0 ? 'Take the tour' : step < STEPS.length - 1 ? 'Next' : 'End the tour';
    this.#outline(target ? this.#panel.querySelector(target) : null);
    if (byHand) this.#find('#title').focus({ preventScroll: true });
  }

  /** Let an element of the panel be seen, and nothing else. */
  #outline(target) {
    if (this.#shown) this.#shown.style.outline = '';
    this.#shown = target;
    if (!target) return;
    target.style.outline = '2px solid #5acce6';
    const panel = this.#panel.host; // scrollIntoView would move the viewports, too
    const [inner, outer] = [target, panel].map(element => element.getBoundingClientRect().top);
    panel.scrollTop += inner - outer - this.offsetHeight - MARGIN;
  }

  #end() {
    this.#outline(null);
    this.#find('section').hidden = true;
    lasting.keep(SEEN, true);
  }
}

if (!customElements.get('mammosynth-tour')) customElements.define('mammosynth-tour', MammoSynthTour);
