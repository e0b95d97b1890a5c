import Collective from './index.js';

export default Collective;
export const { Servent, Peer, Worker, Job, version } = Collective;
export { Collective };
