// The look of our panels: the dark colours of OHIF, text at a contrast of at least 4.5; and what is mended of its own.

const css = `
  :host { display: block; color: #e6ecf5; font: 14px/1.4 Inter, system-ui, sans-serif; }
  :host([hidden]), [hidden] { display: none !important; }
  * { box-sizing: border-box; }
  h2, h3, h4 { margin: 0; color: #fff; font-weight: 600; line-height: 1.3; }
  h2 { font-size: 15px; }
  h3 { font-size: 14px; }
  h4 { font-size: 13px; }
  p { margin: 0; overflow-wrap: anywhere; }
  section, .section { padding: 12px; border-bottom: 1px solid #1f2e57; }
  .stack { display: flex; flex-direction: column; gap: 8px; }
  .row { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; }
  .row.spread { justify-content: space-between; }
  .muted { color: #a9bcdb; font-size: 12px; }
  .error { padding: 8px; border: 1px solid #ff8a80; border-radius: 4px; background: #3b1118; color: #ffd9d6; }
  .notice { padding: 8px; border: 1px solid #2c4a7c; border-radius: 4px; background: #0b1a3a; }
  label { display: block; color: #c7d5ec; font-size: 13px; }
  label:has(:disabled) { color: #8a9cc0; }
  label.inline { display: flex; gap: 8px; align-items: flex-start; }
  .field { display: flex; flex-direction: column; gap: 4px; }
  .unit { color: #a9bcdb; font-size: 12px; }
  input, select, textarea { font: inherit; color: #fff; }
  input:not([type=checkbox]):not([type=radio]):not([type=range]):not([type=color]), select, textarea {
    width: 100%; min-height: 32px; padding: 4px 8px; border: 1px solid #5d77a8; border-radius: 4px; background: #06102a;
  }
  input[type=checkbox], input[type=radio] {
    width: 16px; height: 16px; margin: 2px 0 0; accent-color: #5acce6; flex: none;
  }
  input[type=range] { width: 100%; accent-color: #5acce6; }
  option, optgroup { background: #06102a; color: #fff; }
  button {
    min-height: 32px; padding: 4px 12px; border: 1px solid #5acce6; border-radius: 4px; background: transparent;
    color: #9fe3f4; font: inherit; font-weight: 500; cursor: pointer;
  }
  button:hover:not(:disabled) { background: #10305a; color: #fff; }
  button.primary { background: #5acce6; color: #04122e; }
  button.primary:hover:not(:disabled) { background: #8fe0f2; color: #04122e; }
  button.danger { border-color: #ff8a80; color: #ffb4ad; }
  button.danger:hover:not(:disabled) { background: #5b1720; color: #fff; }
  button[aria-pressed=true] { background: #1c4f8a; color: #fff; }
  button:disabled { border-color: #46587d; color: #8a9cc0; background: #0b1a3a; cursor: default; }
  .upload { display: inline-block; cursor: pointer; }
  .upload:focus-within { outline: 2px solid #fff; outline-offset: 2px; }
  .upload span {
    display: inline-block; padding: 4px 12px; border: 1px solid #5acce6; border-radius: 4px; color: #9fe3f4;
  }
  :focus-visible { outline: 2px solid #fff; outline-offset: 2px; }
  a { color: #9fe3f4; }
  summary { color: #9fe3f4; cursor: pointer; }
  progress { width: 100%; height: 8px; accent-color: #5acce6; }
  table { width: 100%; border-collapse: collapse; font-size: 12px; }
  caption { padding: 2px 0; color: #a9bcdb; text-align: left; }
  th, td {
    padding: 3px 6px 3px 0; border-bottom: 1px solid #1f2e57; text-align: left; font-weight: 400; vertical-align: top;
  }
  th { color: #a9bcdb; }
  dl { display: grid; grid-template-columns: auto 1fr; gap: 2px 10px; margin: 0; font-size: 12px; }
  dt { color: #a9bcdb; }
  dd { margin: 0; overflow-wrap: anywhere; }
  kbd {
    padding: 1px 6px; border: 1px solid #5d77a8; border-radius: 4px; background: #0b1a3a;
    font: 12px ui-monospace, monospace;
  }
  .visually-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
`;

/** Adopted by each of our shadow roots. */
export const sheet = new CSSStyleSheet();
sheet.replaceSync(css);

/** Let OHIF's own page have more rules; returns what takes them away. */
export function restyle(rules) {
  const added = new CSSStyleSheet();
  added.replaceSync(rules);
  document.adoptedStyleSheets.push(added);
  return () => (document.adoptedStyleSheets = document.adoptedStyleSheets.filter(each => each !== added));
}
