// Real images, small and made here: every one differs from every other by its colour.
import { crc32, deflateSync } from 'node:zlib'

/** A PNG of `size` x `size` pixels in one colour (`[r, g, b]`). */
export function png(size, colour) {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(size, 0)
  header.writeUInt32BE(size, 4)
  header.set([8, 2, 0, 0, 0], 8) // 8 bits, RGB, deflate, no filter method, not interlaced
  const row = Buffer.concat([Buffer.from([0]), ...Array(size).fill(Buffer.from(colour))])
  const pixels = deflateSync(Buffer.concat(Array(size).fill(row)))
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))])
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, 'ascii'), data])
  const length = Buffer.alloc(4)
  length.writeUInt32BE(data.length)
  const check = Buffer.alloc(4)
  check.writeUInt32BE(crc32(body) >>> 0)
  return Buffer.concat([length, body, check])
}

/** A baseline JPEG of one 8 x 8 block in one grey; `level` goes from 0 (dark) to 15. */
export function jpeg(level) {
  const segment = (marker, bytes) => [0xff, marker, (bytes.length + 2) >> 8, (bytes.length + 2) & 0xff, ...bytes]
  // One Huffman code of one bit per table: a DC difference of 8 bits, and "end of block".
  const table = (id, symbol) => [id, 1, ...Array(15).fill(0), symbol]
  // `0`, 8 bits of the difference, `0`, then ones up to the byte.
  const bits = (((0x80 | (level & 0x0f)) << 1) << 6) | 0x3f
  return Buffer.from([
    0xff,
    0xd8,
    ...segment(0xe0, [...Buffer.from('JFIF\0'), 1, 1, 0, 0, 1, 0, 1, 0, 0]),
    ...segment(0xdb, [0, ...Array(64).fill(1)]),
    ...segment(0xc0, [8, 0, 8, 0, 8, 1, 1, 0x11, 0]),
    ...segment(0xc4, table(0x00, 8)),
    ...segment(0xc4, table(0x10, 0)),
    ...segment(0xda, [1, 1, 0x00, 0, 63, 0]),
    bits >> 8,
    bits & 0xff,
    0xff,
    0xd9,
  ])
}
