package gateway

import (
	"net/http"
)

type parked struct{}

func (*parked) answer([]byte) {}

func (p *poll) park(w http.ResponseWriter, r *http.Request) bool { return false }
