// The grey-scale pattern: patches from black to white, each with a small square that differs by little.

/** How many patches. */
export const STEPS = 18;

const COLUMNS = 9;
const [PATCH, TARGET] = [80, 20]; // pixels of the page
const DIFFERENCE = 4; // of 255, as the corners of AAPM's test pattern TG18-QC differ from their patch

/** Grey values (0 to 255) of each patch and of the square in it, and where the square is, from 0 (left, top) to 1. */
export function patches(random = Math.random) {
  return Array.from({ length: STEPS }, (_, step) => {
    const grey = Math.round((255 * step) / (STEPS - 1));
    const isBrighter = grey < 128;
    return { grey, target: grey + (isBrighter ? DIFFERENCE : -DIFFERENCE), x: random(), y: random() };
  });
}

/** Draw the pattern in pixels of the screen, unscaled; each time the squares are elsewhere. */
export function drawPattern(canvas, scale = window.devicePixelRatio || 1) {
  const size = length => Math.round(length * scale);
  canvas.width = size(PATCH) * COLUMNS;
  canvas.height = size(PATCH) * (STEPS / COLUMNS);
  canvas.style.width = `${canvas.width / scale}px`;
  const context = canvas.getContext('2d');
  const fill = (grey, x, y, length) => {
    context.fillStyle = `rgb(${grey} ${grey} ${grey})`;
    context.fillRect(x, y, length, length);
  };
  patches().forEach(({ grey, target, x, y }, step) => {
    const [left, top] = [(step % COLUMNS) * size(PATCH), Math.floor(step / COLUMNS) * size(PATCH)];
    const room = size(PATCH) - size(TARGET);
    fill(grey, left, top, size(PATCH));
    fill(target, left + Math.round(x * room), top + Math.round(y * room), size(TARGET));
  });
}

/** What to say of what was seen; '' if nothing. */
export function adviceOn(seen, width, height) {
  const found = [];
  if (seen !== null && seen < STEPS) {
    found.push(`Not every square is seen: dim the room, and let the display be calibrated, before you go on.`);
  }
  if (width < 1280 || height < 700) found.push('The window is small for mammograms: enlarge it.');
  return found.join(' ');
}
