import Collective from './index.js';

export default Collective;
export { Collective };
/** The version of this package. */
export declare const version: string;
