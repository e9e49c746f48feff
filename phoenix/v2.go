package phoenix

import "roost/internal/rawjson"

// decodeV2 reads [join_ref, ref, topic, event, payload]. Elements behind the fifth are checked and ignored.
func decodeV2(frame []byte) (m Message, err error) {
	var fields [5][]byte
	n := 0
	err = rawjson.Array(frame, func(value []byte) error {
		if n < len(fields) {
			fields[n] = value
			n++
		}
		return nil
	})
	if err != nil || n < len(fields) {
		return Message{}, ErrMalformed
	}
	if err = m.set(fields[0], fields[1], fields[2], fields[3], fields[4]); err != nil {
		return Message{}, err
	}
	return m, nil
}
