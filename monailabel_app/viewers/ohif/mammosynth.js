// OHIF extension, loaded at run time by the viewer's configuration (no rebuild): how a source and the image
// synthesized from it hang side by side, and a bar to ask for one.

const mammogram = { attribute: 'Modality', constraint: { equals: 'MG' }, required: true };
// As in mammosynth.dicom.generated: what a phantom's simulated device acquired is a source although it is generated.
const isSynthesized = ({ SeriesDescription }) => /^SYNTHETIC(?! PHANTOM)/i.test(SeriesDescription || '');
const isUncertainty = displaySet => isSynthesized(displaySet) && / uncertainty\b/.test(displaySet.SeriesDescription);
const role = value => ({ weight: 10, attribute: 'mammosynthRole', constraint: { equals: value }, required: true });
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
    source: { seriesMatchingRules: [mammogram, role('source')] },
    synthesized: { seriesMatchingRules: [mammogram, role('synthesized')] },
  },
  stages: [
    {
      name: 'side by side',
      viewportStructure: { layoutType: 'grid', properties: { rows: 1, columns: 2 } },
      viewports: [viewport('source'), viewport('synthesized')],
    },
  ],
};

let services;

/** The acquired mammogram in the active viewport; null if there is none. */
function activeSource() {
  const { viewportGridService, displaySetService } = services;
  const { activeViewportId } = viewportGridService.getState();
  const [uid] = viewportGridService.getDisplaySetsUIDsForViewport(activeViewportId) || [];
  const displaySet = uid && displaySetService.getDisplaySetByUID(uid);
  if (!displaySet || displaySet.Modality !== 'MG') return null;
  return isSynthesized(displaySet) ? null : displaySet;
}

/** One request; an answer that is no success becomes an error with the server's own sentence. */
async function ask(path, options) {
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail);
  return answer;
}

/** Synthesize the source and return the result of the job; `report` is told how far it is. */
async function synthesize(task, source, report) {
  const { job_id } = await ask('/synthesis', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({
      task,
      study_instance_uid: source.StudyInstanceUID,
      series_instance_uid: source.SeriesInstanceUID,
      ...(source.instances?.length === 1 && { sop_instance_uid: source.instances[0].SOPInstanceUID }),
    }),
  });
  for (;;) {
    const job = await ask(`/synthesis/${job_id}`);
    if (job.state === 'done') return job.result;
    if (job.state === 'failed' || job.state === 'cancelled') throw new Error(job.message);
    report(`${Math.round(100 * job.progress)} %: ${job.message}`);
    await new Promise(resolve => setTimeout(resolve, 200));
  }
}

/** A bar at the foot of the viewer: one button per task of the server, and what is going on. */
class SynthesisBar extends HTMLElement {
  async connectedCallback() {
    const { models } = await ask('/info/');
    const root = this.attachShadow({ mode: 'open' });
    root.innerHTML = `
      <style>
        :host { position: fixed; right: 64px; bottom: 8px; z-index: 50; font: 14px sans-serif; color: #fff; }
        :host([hidden]) { display: none; }
        div { display: flex; gap: 12px; align-items: center; }
        button { padding: 6px 12px; border: 1px solid #5acce6; border-radius: 4px; background: #041c4a; color: #fff; }
        button:focus-visible { outline: 2px solid #fff; }
        button:disabled { opacity: 0.5; }
      </style>
      <div><span role="status"></span></div>`;
    this.status = root.querySelector('span');
    for (const task of Object.keys(models)) {
      const button = document.createElement('button');
      button.textContent = `Synthesize ${task}`;
      button.title = `${models[task].description} Research only, not for diagnosis.`;
      button.addEventListener('click', () => this.run(task));
      root.querySelector('div').append(button);
    }
    this.timer = setInterval(() => this.refresh(), 500);
  }

  disconnectedCallback() {
    clearInterval(this.timer);
  }

  refresh() {
    const inViewer = location.pathname.includes('/viewer');
    this.hidden = !inViewer;
    const idle = inViewer && !this.busy && activeSource();
    this.shadowRoot.querySelectorAll('button').forEach(button => (button.disabled = !idle));
  }

  async run(task) {
    const source = activeSource();
    if (!source) return;
    this.busy = true;
    this.refresh();
    try {
      const result = await synthesize(task, source, text => (this.status.textContent = text));
      location.assign(result.viewer_url);
    } catch (error) {
      this.status.textContent = error.message;
      this.busy = false;
    }
  }
}

export default {
  id: 'mammosynth.extension',
  version: '0.1.0',
  preRegistration({ servicesManager }) {
    services = servicesManager.services;
    services.hangingProtocolService.addCustomAttribute('mammosynthRole', 'Source or synthesized image', displaySet =>
      isUncertainty(displaySet) ? 'uncertainty' : isSynthesized(displaySet) ? 'synthesized' : 'source'
    );
    if (!customElements.get('mammosynth-bar')) customElements.define('mammosynth-bar', SynthesisBar);
    document.body.append(document.createElement('mammosynth-bar'));
  },
  getHangingProtocolModule: () => [{ name: pair.id, protocol: pair }],
};
