// The server's REST interface as the panels use it; a refusal becomes an Error with the server's own sentence.

import { readable, refusalOf } from './sentences.js';

const POLL_MS = 250;

/** One request; resolves to the JSON answer. */
export async function ask(path, options = {}) {
  return (await send(path, options)).json();
}

/** What is served: models by name, each with its parameters and scores. */
export const info = () => ask('/info/');

/** Which acquired images of a study a model accepts, and why it refuses the others. */
export const sources = async (study, model) =>
  (await ask(`/studies/${study}/sources?model=${encodeURIComponent(model)}`)).sources;

/** The values of a slot ({values, suggestion, seed, measure}) and their label map, as a PNG in base64. */
export const preview = (model, role, body, signal) =>
  ask(`/preview/${encodeURIComponent(model)}/${encodeURIComponent(role)}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
    signal,
  });

/** Run a job ({model, inputs, parameters}) to its result; `report` gets each status, `signal` cancels the job. */
export async function synthesize(order, report = _job => {}, signal) {
  const { job_id } = await ask('/synthesis', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(order),
  });
  let cancelled = false;
  for (;;) {
    if (signal?.aborted && !cancelled) cancelled = await cancel(job_id);
    const job = await ask(`/synthesis/${job_id}`);
    if (job.state === 'done') return job.result;
    if (job.state === 'cancelled') throw new DOMException(job.message, 'AbortError');
    if (job.state === 'failed') throw new Error(readable(job.message));
    report(job);
    await pause(POLL_MS, cancelled ? undefined : signal);
  }
}

/** What was synthesized in a study, newest first. */
export const synthesized = async study => (await ask(`/studies/${study}/synthesized`)).series;

/** Delete a synthesized series from the archive. */
export const deleteSynthesized = (study, series) =>
  ask(`/studies/${study}/synthesized/${series}`, { method: 'DELETE' });

/** Segmentations of a study, newest first. */
export const segmentations = async study => (await ask(`/studies/${study}/segmentations`)).segmentations;

/** Store a label map, one byte a pixel in the image's own matrix, as DICOM SEG. */
export async function saveSegmentation(study, description, mask) {
  const zipped = new Response(new Blob([mask]).stream().pipeThrough(new CompressionStream('gzip')));
  const body = new FormData();
  body.set('description', JSON.stringify(description));
  body.set('mask', await zipped.blob(), 'mask.gz');
  return ask(`/studies/${study}/segmentations`, { method: 'POST', body });
}

/** Store an existing DICOM SEG. */
export const uploadSegmentation = (study, file) =>
  ask(`/studies/${study}/segmentations/file`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/dicom' },
    body: file,
  });

/** The label map of a segmentation, one byte a pixel, row by row. */
export async function segmentationMask(study, sop) {
  const answer = await send(`/studies/${study}/segmentations/${sop}/mask`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** Delete a segmentation that was drawn here. */
export const deleteSegmentation = (study, sop) => ask(`/studies/${study}/segmentations/${sop}`, { method: 'DELETE' });

/** One request; resolves to the answer if it is a good one. */
export async function send(path, options = {}) {
  const answer = await fetch(path, options).catch(() => {
    const message = 'The server cannot be reached; check that it still runs, then try again.';
    throw Object.assign(new Error(message), { status: 0 });
  });
  if (answer.ok) return answer;
  const message = refusalOf(answer, path, await answer.json().catch(() => ({})));
  throw Object.assign(new Error(message), { status: answer.status });
}

/** Ask the server to stop a job; one that ended meanwhile cannot be stopped, and its status says how it ended. */
const cancel = job => ask(`/synthesis/${job}`, { method: 'DELETE' }).then(() => true, () => true);

/** Wait, or until the signal aborts. */
const pause = (milliseconds, signal) =>
  new Promise(resolve => {
    setTimeout(resolve, milliseconds);
    signal?.addEventListener('abort', resolve, { once: true });
  });
