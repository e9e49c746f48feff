// Package phoenix is the wire language of Phoenix Channels: messages, refs, reserved events, and the serializers V1 and
// V2 in text and binary. It follows docs/protocol.md and does no input or output.
//
// # Bytes pass through
// Payloads and refs are never decoded and encoded again. What a client, a backend or Redis wrote reaches the other side
// byte for byte (TestPayloadBytesPassThrough).
//
// # Compact
// Envelopes are written without white space and without HTML escapes, because some clients cut them up as text
// (TestCompact).
//
// # Allocation
// The Append functions write behind what dst holds and allocate nothing else (TestAppendAllocatesNothing).
package phoenix
