import Collective from './index.js';

export default Collective;
export const { version } = Collective;
export { Collective };
