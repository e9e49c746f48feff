package phoenix

import "roost/internal/rawjson"

// decodeV1 reads {"topic":T,"event":E,"payload":P,"ref":R}. All four keys must be there, join_ref may be.
func decodeV1(frame []byte) (m Message, err error) {
	var joinRef, ref, topic, event, payload []byte
	err = rawjson.Object(frame, func(key, value []byte) error {
		switch string(key) {
		case "topic":
			topic = value
		case "event":
			event = value
		case "payload":
			payload = value
		case "ref":
			ref = value
		case "join_ref":
			joinRef = value
		}
		return nil
	})
	if err != nil || topic == nil || event == nil || payload == nil || ref == nil {
		return Message{}, ErrMalformed
	}
	if err = m.set(joinRef, ref, topic, event, payload); err != nil {
		return Message{}, err
	}
	return m, nil
}
