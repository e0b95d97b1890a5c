import Collective from './index.js';

export default Collective;
export { Collective };
export declare const join: typeof Collective.join;
export declare const observe: typeof Collective.observe;
export import Node = Collective.Node;
export import Servent = Collective.Servent;
export import Peer = Collective.Peer;
export import Worker = Collective.Worker;
export import Job = Collective.Job;
/** The version of this package. */
export declare const version: string;
