package webhook

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"roost/auth"
	"roost/internal/rawjson"
	"roost/phoenix"
)

// Answers are errors or values, and their parts are cut out of the body as they stand. A field that is null counts as
// absent, but for response and presence; a field that is not known is skipped.

var (
	errEmpty   = errors.New("the answer is empty")
	errNotUTF8 = errors.New("the answer is not UTF-8")
	errNotJSON = errors.New("the answer is not a JSON object")
)

// decodeConnect reads the answer to socket.connect. The error is an [*auth.Refusal] if the answer is no.
func decodeConnect(body []byte) (*auth.ConnectAnswer, error) {
	var status string
	var a auth.ConnectAnswer
	var response content
	code := http.StatusForbidden
	err := decode(body, func(key string, value []byte) (err error) {
		switch key {
		case "status":
			status, err = decodeText(value)
		case "id":
			a.ID, err = decodeText(value)
		case "assigns":
			a.Assigns, err = decodeObject(value)
		case "expires_at":
			a.Expires, err = decodeTime(value)
		case "code":
			code, err = strconv.Atoi(string(value))
			if err != nil || code < 400 || code > 599 {
				err = errors.New("not an HTTP status from 400 to 599")
			}
		case "response", "response_base64":
			err = response.set(key == "response_base64", value)
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case status == phoenix.StatusOK:
		return &a, nil
	case status == phoenix.StatusError:
		return nil, &auth.Refusal{Code: code, Response: response.bytes, Binary: response.binary}
	default:
		return nil, errors.New("status: not ok or error")
	}
}

// decodeJoin reads the answer to channel.join.
func decodeJoin(body []byte) (joinAnswer, error) {
	a, err := decodeAnswer(body)
	switch {
	case err != nil:
		return joinAnswer{}, err
	case a.Status != phoenix.StatusOK && a.Status != phoenix.StatusError:
		return joinAnswer{}, errors.New("status: not ok or error")
	case a.Stop != auth.StopNot:
		return joinAnswer{}, errors.New("stop: only for a push")
	}
	j := joinAnswer{Answer: a}
	return j, j.decodeLife(body)
}

// decodePush reads the answer to channel.push. Nothing is an answer, too.
func decodePush(body []byte) (*auth.Answer, error) {
	if len(rawjson.Trim(body)) == 0 {
		return &auth.Answer{}, nil
	}
	return decodeAnswer(body)
}

func decodeAnswer(body []byte) (*auth.Answer, error) {
	var a auth.Answer
	var response content
	err := decode(body, func(key string, value []byte) (err error) {
		switch key {
		case "status":
			a.Status, err = decodeText(value)
		case "response", "response_base64":
			err = response.set(key == "response_base64", value)
		case "assigns":
			a.Assigns, err = decodeObject(value)
		case "push":
			a.Pushes, err = decodeList(value, decodePushItem)
		case "broadcast":
			a.Broadcasts, err = decodeList(value, decodeBroadcast)
		case "presence":
			a.Presence, err = decodePresence(value)
		case "expires_at":
			a.Expires, err = decodeTime(value)
		case "stop":
			a.Stop, err = decodeStop(value)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	a.Response, a.Binary = response.bytes, response.binary
	if a.Binary && len(a.Status) > maxBinaryField {
		return nil, errors.New("status: " + errTooLong.Error())
	}
	return &a, nil
}

// decodeRefusal returns the refusal that a 4xx answer is, with its response if it has one that can be read.
func decodeRefusal(code int, body []byte) *auth.Refusal {
	var response content
	err := decode(body, func(key string, value []byte) error {
		if (key == "response" || key == "response_base64") && string(value) != "null" {
			return response.set(key == "response_base64", value)
		}
		return nil
	})
	if err != nil {
		return &auth.Refusal{Code: code}
	}
	return &auth.Refusal{Code: code, Response: response.bytes, Binary: response.binary}
}

// decode calls field for each field of the body that is not null.
func decode(body []byte, field func(key string, value []byte) error) error {
	body = rawjson.Trim(body)
	switch {
	case len(body) == 0:
		return errEmpty
	case !utf8.Valid(body):
		return errNotUTF8
	case !rawjson.IsObject(body) || !rawjson.Valid(body):
		return errNotJSON
	}
	return fields(body, field)
}

// fields calls field for each field of an object that is not null. Its errors name the field.
func fields(object []byte, field func(key string, value []byte) error) error {
	return rawjson.Object(object, func(k, value []byte) error {
		key := string(k)
		if string(value) == "null" && key != "response" && key != "presence" { // these may be null
			return nil
		}
		if err := field(key, value); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		return nil
	})
}

func decodeStop(value []byte) (auth.Stop, error) {
	switch string(value) {
	case `"close"`:
		return auth.StopClose, nil
	case `"error"`:
		return auth.StopError, nil
	default:
		return auth.StopNot, errors.New(`not "close" or "error"`)
	}
}

func decodeText(value []byte) (string, error) {
	text, err := rawjson.Unquote(value)
	if err != nil {
		return "", errors.New("not a string")
	}
	return string(text), nil
}

func decodeTime(value []byte) (time.Time, error) {
	text, err := decodeText(value)
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, errors.New("not a time such as 2026-11-21T10:00:00Z")
	}
	return t, nil
}

func decodeObject(value []byte) ([]byte, error) {
	if !rawjson.IsObject(value) {
		return nil, errors.New("not an object")
	}
	return value, nil
}

// content is a payload or a response, which an answer may give in one of two fields.
type content struct {
	bytes  []byte
	binary bool
}

func (c *content) set(binary bool, value []byte) error {
	switch none := "null"; {
	case string(value) == none && c.bytes != nil:
		return nil // the other field has it
	case c.bytes != nil && c.binary != binary && string(c.bytes) != none:
		return errors.New("given twice, with and without _base64")
	}
	c.bytes, c.binary = value, binary
	if !binary {
		return nil
	}
	text, err := rawjson.Unquote(value)
	if err != nil {
		return errors.New("not a string")
	}
	if c.bytes, err = base64.StdEncoding.AppendDecode([]byte{}, text); err != nil {
		return errors.New("not base64")
	}
	return nil
}
