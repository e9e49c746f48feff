package rawjson

// Replace returns object with value in the place of the field called name, or without that field if value is nil. An object that has
// none is returned as it is.
func Replace(object []byte, name string, value []byte) []byte {
	out, found := []byte{'{'}, false
	_ = Object(object, func(key, v []byte) error {
		if string(key) == name {
			if found = true; value == nil {
				return nil
			}
			v = value
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(AppendString(out, key), ':'), v...)
		return nil
	})
	if !found {
		return object
	}
	return append(out, '}')
}
