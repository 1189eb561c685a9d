// Our panels as OHIF takes them.

/** A React element without React, which a pre-built OHIF does not share: React 18 knows it by a registered symbol. */
export const element = type => ({
  $$typeof: Symbol.for('react.element'),
  type,
  key: null,
  ref: null,
  props: {},
  _owner: null,
  _store: {},
});
