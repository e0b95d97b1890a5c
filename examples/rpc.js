'use strict';

/* Two nodes call functions of each other. In real life each runs in a process of its own. */

const { Servent } = require('collective-io');

const port = Number(process.env.PORT ?? 9140);
const [first, second] = [new Servent(), new Servent()];

second.expose('sum', (a, b) => a + b);
second.expose('text', {
  async upper(text) {
    return text.toUpperCase();
  },
  twice(text) {
    if (text === '') this.error('nothing to repeat', 7);
    else this.set('once', text).send('twice', text + text);
  },
});

first.listen(port, () => second.connect(port));
first.on('peer', async (peer) => {
  console.log(await peer.invoke('sum', [1, 2]));
  console.log(await peer.invoke('text.upper', ['hello']));
  console.log(await peer.invoke('text.twice', ['ha']));
  await peer.invoke('text.twice', ['']).catch(({ message, code }) => console.log(message, code));

  const asked = first.broadcastInvoke('sum', [3, 4], async (error, sum) => {
    console.log(asked, error, sum);
    await Promise.all([first.close(), second.close()]);
  });
});
