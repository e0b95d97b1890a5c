/* How far behind somebody is, as a step of the colours and as words. */

import { count, ms } from './format.js';

/**
 * From so many ms on it is the next step. Peers say once a second what they have, so that much is
 * no delay.
 */
const STEPS_MS = [2500, 10_000];
/** The same in writes, where no time is known. */
const STEPS_WRITES = [2000, 50_000];

/** 0 in step, 1 behind, 2 far behind. */
export function level({ behind, behindMs }) {
  if (behindMs != null) return STEPS_MS.filter((step) => behindMs >= step).length;
  return STEPS_WRITES.filter((step) => (behind ?? 0) >= step).length;
}

export function words({ behind, behindMs }) {
  if (behind == null) return 'not known yet';
  if (behind === 0 || level({ behind, behindMs }) === 0) return 'in step';
  const writes = `${count(behind)} writes`;
  return behindMs == null ? `${writes} behind` : `${writes}, ${ms(behindMs)} behind`;
}

/** The same where there is little room. */
export function brief({ behind, behindMs }) {
  const step = level({ behind, behindMs });
  return step === 0 || behindMs == null ? words({ behind, behindMs }) : `${ms(behindMs)} behind`;
}
