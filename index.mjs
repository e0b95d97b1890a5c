import Collective from './index.js';

export default Collective;
export const { join, observe, Node, Servent, Peer, Worker, Job, version } = Collective;
export { Collective };
