/**
 * A test suite on testcontainers, told as JSON. A process of its own, because the library keeps the first engine that
 * it met. Its reaper's image isn't at hand, so it cleans up by itself.
 */
import { GenericContainer, Wait } from 'testcontainers';

const container = await new GenericContainer('busybox:latest')
  .withNetworkMode('none')
  .withCommand(['sh', '-c', 'cat /etc/greeting; echo ready; sleep 1000'])
  .withCopyContentToContainer([{ content: 'hello\n', target: '/etc/greeting' }])
  .withWaitStrategy(Wait.forLogMessage('ready'))
  .start();
const exec = await container.exec(['sh', '-c', 'cat /etc/greeting; exit 3']);
await container.copyContentToContainer([{ content: 'more', target: '/more' }]);
const more = await container.exec(['cat', '/more']);
await container.stop();
console.log(JSON.stringify({ exec, more }));
