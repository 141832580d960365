/** A test suite that leaves its containers to testcontainers' reaper: one with a published port, and a network. */
import { GenericContainer, Wait } from 'testcontainers';

const container = await new GenericContainer('busybox:latest')
  .withCommand(['sh', '-c', 'echo hello > /tmp/index.html; httpd -f -p 80 -h /tmp'])
  .withExposedPorts(80)
  .withWaitStrategy(Wait.forListeningPorts())
  .start();
const answer = await fetch(`http://${container.getHost()}:${container.getMappedPort(80)}/index.html`);
console.log(JSON.stringify({ status: answer.status, text: await answer.text() }));
process.exit(0);
