package admin

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"roost/hub"
	"roost/internal/rawjson"
)

// Sizes of a page.
const (
	defaultPage = 100
	maxPage     = 1000
)

// query reads the query of a GET, in which only these names may be.
func query(r *http.Request, names ...string) (map[string]string, error) {
	values := map[string]string{}
	for name, list := range r.URL.Query() {
		if !slices.Contains(names, name) || len(list) != 1 {
			return nil, problem("invalid_request", "the query "+strconv.Quote(name)+" is not known, or stands there twice")
		}
		values[name] = list[0]
	}
	return values, nil
}

// page reads the query of a list: cursor, limit, and these names.
func page(r *http.Request, names ...string) (values map[string]string, cursor string, limit int, err error) {
	if values, err = query(r, append(names, "cursor", "limit")...); err != nil {
		return nil, "", 0, err
	}
	limit = defaultPage
	if text, found := values["limit"]; found {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxPage {
			return nil, "", 0, problem("invalid_request", "limit: not a number from 1 to "+strconv.Itoa(maxPage))
		}
	}
	return values, values["cursor"], limit, nil
}

// matchOf reads a topic or a pattern, as in the topic rules.
func matchOf(text string) (hub.TopicMatch, error) {
	prefix, wildcard := strings.CutSuffix(text, "*")
	if strings.Contains(prefix, "*") {
		return hub.TopicMatch{}, problem("invalid_request", "a pattern has its * at the end")
	}
	return hub.TopicMatch{Text: prefix, Prefix: wildcard}, nil
}

type topicCount struct {
	Topic   string `json:"topic"`
	Members int64  `json:"members"`
	Present int64  `json:"present"`
}

// topics lists topics that have members.
func (a *api) topics(w http.ResponseWriter, r *http.Request) error {
	values, cursor, limit, err := page(r, "match")
	if err != nil {
		return err
	}
	match := hub.TopicMatch{Prefix: true}
	if text, found := values["match"]; found {
		if match, err = matchOf(text); err != nil {
			return err
		}
	}
	ctx, cancel := bounded(r)
	defer cancel()
	list, next, err := a.op.ListTopics(ctx, match, cursor, limit)
	if err != nil {
		return err
	}
	topics := []topicCount{}
	for _, t := range list {
		topics = append(topics, topicCount(t))
	}
	return reply(w, http.StatusOK, struct {
		Topics []topicCount `json:"topics"`
		Next   string       `json:"next"`
	}{topics, next})
}

// topic counts one topic's members. One that nobody has joined has none.
func (a *api) topic(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	ctx, cancel := bounded(r)
	defer cancel()
	count, err := a.op.CountTopic(ctx, r.PathValue("topic"))
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, topicCount(count))
}

// members lists the connections of a topic's members.
func (a *api) members(w http.ResponseWriter, r *http.Request) error {
	_, cursor, limit, err := page(r)
	if err != nil {
		return err
	}
	ctx, cancel := bounded(r)
	defer cancel()
	list, next, err := a.op.ListMembers(ctx, r.PathValue("topic"), cursor, limit)
	if err != nil {
		return err
	}
	if list == nil {
		list = []string{}
	}
	return reply(w, http.StatusOK, struct {
		Members []string `json:"members"`
		Next    string   `json:"next"`
	}{list, next})
}

// presence lists who is shown in a topic.
func (a *api) presence(w http.ResponseWriter, r *http.Request) error {
	_, cursor, limit, err := page(r)
	if err != nil {
		return err
	}
	ctx, cancel := bounded(r)
	defer cancel()
	list, next, err := a.op.ListPresence(ctx, r.PathValue("topic"), cursor, limit)
	if err != nil {
		return err
	}
	type shown struct {
		Connection string          `json:"connection"`
		Key        string          `json:"key"`
		Ref        string          `json:"phx_ref"`
		Meta       json.RawMessage `json:"meta"`
	}
	entries := []shown{}
	for _, s := range list {
		if rawjson.Valid(s.Meta) {
			entries = append(entries, shown{s.Connection, s.Key, s.Ref, s.Meta})
		}
	}
	return reply(w, http.StatusOK, struct {
		Presence []shown `json:"presence"`
		Next     string  `json:"next"`
	}{entries, next})
}
