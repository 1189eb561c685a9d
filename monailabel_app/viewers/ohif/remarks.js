// <mammosynth-remarks>: what a model told of the lesions that were drawn, beside the outcome of the synthesis.

import { generationState, nameOf } from './generation.js';
import { existingDrawing } from './lesions.js';
import { title } from './sentences.js';
import { sheet } from './style.js';
import { studyUid } from './viewer.js';

const own = new CSSStyleSheet();
own.replaceSync(`
  details { font-size: 13px; }
  ul { max-height: 24vh; overflow-y: auto; margin: 4px 0; padding-left: 16px; }
`);

const html = `
  <details class="notice" open>
    <summary></summary>
    <ul aria-live="polite" aria-label="What is told of each" tabindex="0"></ul>
    <p id="drawn-since" class="muted" hidden>
      This is told of the drawing that was saved. What is drawn now is another one: generate again.
    </p>
    <p class="muted">
      Research only, not for diagnosis.
      <a href="/docs-site/tutorials/draw-a-lesion.html#how-a-lesion-would-enhance" target="_blank" rel="noopener">
        What this means
      </a>
    </p>
  </details>`;

/** Of the last synthesis, while the study is open that it was of. */
export class Remarks extends HTMLElement {
  connectedCallback() {
    if (this.shadowRoot) return;
    const root = this.attachShadow({ mode: 'open' });
    root.adoptedStyleSheets = [sheet, own];
    root.innerHTML = html;
  }

  /** Follow the last synthesis, the study that is open, and what is drawn. */
  show() {
    const { remarks, study, inputs } = generationState();
    this.hidden = !remarks.length || study !== studyUid();
    if (this.hidden) return;
    const find = selector => this.shadowRoot.querySelector(selector);
    const [{ role, source_sop_instance_uid: uid }] = remarks;
    find('summary').textContent = `${title(role)} on ${nameOf(uid) || 'the source'}`;
    const list = find('ul');
    const sentences = remarks.map(({ sentence }) => sentence);
    if (list.dataset.sentences !== JSON.stringify(sentences)) {
      const item = textContent => Object.assign(document.createElement('li'), { textContent });
      list.replaceChildren(...sentences.map(item));
      list.dataset.sentences = JSON.stringify(sentences);
    }
    const drawing = existingDrawing(uid);
    find('#drawn-since').hidden = !drawing?.isBegun || drawing.archivedAs === inputs[role].sop_instance_uid;
  }
}

if (!customElements.get('mammosynth-remarks')) customElements.define('mammosynth-remarks', Remarks);
