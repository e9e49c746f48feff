package admin

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Routes are all routes of the API.
func Routes() []string { return slices.Collect(maps.Keys((&api{}).routes())) }

// ErrorsPage is docs/errors.md.
func ErrorsPage() string {
	var b strings.Builder
	b.WriteString("# Errors of the HTTP API\n\nAnswers that are no success are problems as RFC 9457 has them: `application/problem+json` with `type`, `title`, `status`, `detail`, and `code`, which is\nstable. Any pod explains a code at its `type`, `/api/v1/errors/{code}`. This page is generated: `UPDATE=1 go test ./admin -run TestErrorsDoc`.\n")
	for _, k := range kinds {
		b.WriteString("\n## " + k.code + "\n\n" + strconv.Itoa(k.status) + ". " + k.title + ". " + k.advice + "\n")
	}
	return b.String()
}
