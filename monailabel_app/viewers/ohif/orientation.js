// Which breast and view an image shows, and on which edge its chest wall lies, from the tags of its instance.

// View codes that mean CC and MLO: SNOMED RT and SNOMED CT (DICOM PS3.16, CID 4014).
const VIEW_CODES = { 'R-10242': 'CC', 399162004: 'CC', 'R-10226': 'MLO', 399368009: 'MLO' };

/** 'R', 'L', or '' where the header does not say it. */
export const sideOf = ({ ImageLaterality, Laterality }) =>
  [ImageLaterality, Laterality].find(side => side === 'R' || side === 'L') || '';

/** 'CC', 'MLO', another view position, or '' where the header does not say it. */
export function viewPositionOf({ ViewPosition, ViewCodeSequence }) {
  if (ViewPosition) return ViewPosition;
  const [code] = [ViewCodeSequence].flat();
  return VIEW_CODES[code?.CodeValue] || '';
}

/** Such as 'R MLO'; 'unknown view' where the header is silent. */
export const viewName = instance =>
  [sideOf(instance), viewPositionOf(instance)].filter(Boolean).join(' ') || 'unknown view';

/** The edge of the stored image where the chest wall lies: 'left' or 'right'; null if nothing tells. */
export function chestWallEdge(instance) {
  const [rows] = [instance.PatientOrientation].flat().flatMap(text => (text || '').split('\\'));
  if (rows?.startsWith('P')) return 'right';
  if (rows?.startsWith('A')) return 'left';
  return conventionalEdge(instance);
}

/** Whether the image is stored against the convention: chest walls back to back, the right breast on the left. */
export function isMirrored(instance) {
  const expected = conventionalEdge(instance);
  return expected !== null && chestWallEdge(instance) !== expected;
}

/** The edge where it lies by convention: 'right' for the right breast; null if the side is unknown. */
export const conventionalEdge = instance => ({ R: 'right', L: 'left' })[sideOf(instance)] || null;
