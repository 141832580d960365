/** Bytes that came before mean what they meant; anything else is read. */
import { describe, expect, it } from 'vitest';
import { parseAnswerHead } from '../../src/proxy/answer-head.js';
import { lastAnswerHead, readAnswerHead, readRequestHead } from '../../src/proxy/head-memory.js';

const answer = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nApi-Version: 1.51\r\n\r\n');
const other = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 3\r\nApi-Version: 1.51\r\n\r\n');
const body = Buffer.from('OK');

describe('the head of an answer', () => {
  it('is the last one again, whatever follows it', () => {
    const read = readAnswerHead(answer, 'GET');
    expect(read).toEqual(parseAnswerHead(answer.toString('latin1'), 'GET'));
    for (const bytes of [answer, Buffer.concat([answer, body]), Buffer.concat([answer, other])]) {
      const last = lastAnswerHead(bytes, 'GET');
      expect(last?.head).toBe(read);
      expect(last?.bytes.length).toBe(answer.length);
    }
  });

  it('is not the last one when a byte differs, is missing, or another method was asked', () => {
    readAnswerHead(answer, 'GET');
    expect(lastAnswerHead(Buffer.concat([other, body]), 'GET')).toBeUndefined();
    expect(lastAnswerHead(answer.subarray(0, -1), 'GET')).toBeUndefined();
    expect(lastAnswerHead(answer, 'HEAD')).toBeUndefined();
    readAnswerHead(other, 'HEAD');
    expect(lastAnswerHead(other, 'GET')).toBeUndefined();
  });

  it('stays what it was when the memory that it was read from is used again', () => {
    const memory = Buffer.from(answer);
    readAnswerHead(memory, 'GET');
    memory.fill('x');
    expect(lastAnswerHead(answer, 'GET')).toBeDefined();
    expect(lastAnswerHead(memory, 'GET')).toBeUndefined();
  });
});

describe('a head that is too long to be kept', () => {
  const long = `X-Long: ${'x'.repeat(600)}\r\n\r\n`;

  it('is read each time', () => {
    readAnswerHead(answer, 'GET');
    const bytes = Buffer.from(`HTTP/1.1 204 No Content\r\n${long}`);
    expect(readAnswerHead(bytes, 'GET')).not.toBe(readAnswerHead(bytes, 'GET'));
    expect(lastAnswerHead(bytes, 'GET')).toBeUndefined();
    const agent = Buffer.from(
      `GET /_ping HTTP/1.1\r\nHost: docker\r\n${long.replace('X-Long', 'User-Agent')}`,
    );
    expect(readRequestHead(agent).bytes).toBeUndefined();
  });
});

describe('the head of a request', () => {
  const plain = Buffer.from('GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n');

  it('is read once, with its bytes, which stay what they were', () => {
    const memory = Buffer.from(plain);
    const read = readRequestHead(memory);
    memory.fill('x');
    expect(read.bytes?.equals(plain)).toBe(true);
    expect(readRequestHead(plain).head).toBe(read.head);
  });

  it('is read each time when it may hold a credential, and nothing of it is kept', () => {
    const secret = Buffer.from('GET /_ping HTTP/1.1\r\nHost: docker\r\nX-Registry-Auth: c2VjcmV0\r\n\r\n');
    const read = readRequestHead(secret);
    expect(read.bytes).toBeUndefined();
    expect(readRequestHead(secret).head).not.toBe(read.head);
  });
});
