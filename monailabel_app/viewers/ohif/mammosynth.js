// OHIF extension, loaded at run time by the viewer's configuration (no rebuild): how a source and the image
// synthesized from it hang side by side.

const mammogram = { attribute: 'Modality', constraint: { equals: 'MG' }, required: true };
const description = constraint => ({ weight: 10, attribute: 'SeriesDescription', constraint, required: true });
const linked = [{ type: 'zoompan', id: 'mammosynth-zoompan', source: true, target: true }];

const viewport = selector => ({
  viewportOptions: { viewportType: 'stack', toolGroupId: 'default', allowUnmatchedView: true, syncGroups: linked },
  displaySets: [{ id: selector }],
});

const pair = {
  id: 'mammosynth.pair',
  name: 'Source and synthesized image',
  locked: true,
  toolGroupIds: ['default'],
  numberOfPriorsReferenced: 0,
  protocolMatchingRules: [], // chosen by address only, never by OHIF itself
  displaySetSelectors: {
    source: { seriesMatchingRules: [mammogram, description({ doesNotContain: 'SYNTHETIC' })] },
    synthesized: { seriesMatchingRules: [mammogram, description({ contains: 'SYNTHETIC' })] },
  },
  stages: [
    {
      name: 'side by side',
      viewportStructure: { layoutType: 'grid', properties: { rows: 1, columns: 2 } },
      viewports: [viewport('source'), viewport('synthesized')],
    },
  ],
};

export default {
  id: 'mammosynth.extension',
  version: '0.1.0',
  getHangingProtocolModule: () => [{ name: pair.id, protocol: pair }],
};
