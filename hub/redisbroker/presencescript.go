package redisbroker

import (
	"strconv"

	"roost/hub"
)

// presenceScript changes who is shown in a topic. KEYS are the hash and its version; ARGV[1] is the channel to tell it to, or
// ""; ARGV[2] is when it may not be done any more, in ms by Redis's clock, or ""; ARGV[3] is "1" if what is told is to be returned
// even if nothing changes, because a change of before may not have been told. Operations follow:
//
//	s connection ref prev adopt body    show body, unless it is there with that ref
//	l connection                         it has left, and may come back
//	g connection                         it has gone: tell so even if it is not there, for those who know it from before data was lost
//	d connection                         show it no more, if it is there
//
// It returns -1 if it is too late; else the version, what is to be told and was not, and per operation the ref that is shown.
// What is told has the form of [hub.AppendPresenceChange]. A version that is lost begins again with the clock, so that it is
// higher than any before.
const presenceScript = clock + `
if ARGV[2] ~= '' and now >= tonumber(ARGV[2]) then
  return {'-1', ''}
end
local function text(n) return string.format('%.0f', n) end
local fresh = redis.call('HLEN', KEYS[1]) == 0
local v = redis.call('GET', KEYS[2])
v = v and tonumber(v) or t[1] * 1000000 + t[2]
local v0, set, del, refs = v, {}, {}, {}
local function keep(c, value) -- what is told to be deleted is so after what is set
  redis.call('HSET', KEYS[1], c, value)
  v = v + 1
  del[c] = nil
  set[#set + 1] = '{"c":"' .. c .. '",' .. string.sub(value, 2)
end
local function drop(c)
  redis.call('HDEL', KEYS[1], c)
  v = v + 1
  del[c] = '"' .. c .. '"'
end
local function keyOf(s) -- quotes in a key are escaped, and nothing before it has any such text
  return string.sub(s, string.find(s, '"key":', 1, true), string.find(s, ',"meta":', 1, true))
end
local known = '^{"order":(%d+),"phx_ref":"([^"]*)",'
local left = known .. '"leaving":true,'
local i = 4
while ARGV[i] do
  local op, c = ARGV[i], ARGV[i + 1]
  local old = redis.call('HGET', KEYS[1], c)
  local order, ref
  if old then
    order, ref = string.match(old, known)
  end
  local leaving = old and string.find(old, left) ~= nil
  if op == 's' then
    local next, prev, adopt, body = ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5]
    if ref ~= next or leaving then
      ref = next
      local other = not old and adopt ~= '' and redis.call('HGET', KEYS[1], adopt)
      local o, r = string.match(other or '', left)
      if o and keyOf(other) == keyOf(body) then
        order, prev = o, r
        if string.sub(other, -#body) == body then
          local _, _, before = string.match(other, left .. '"phx_ref_prev":"([^"]*)"')
          ref, prev = r, before or ''
        end
        drop(adopt)
      end
      keep(c, '{"order":' .. (order or text(v + 1)) .. ',"phx_ref":"' .. ref .. '",' ..
        (prev ~= '' and '"phx_ref_prev":"' .. prev .. '",' or '') .. body)
    end
    refs[#refs + 1] = ref
    i = i + 6
  else
    if op == 'l' and old and not leaving then
      local head, rest = string.match(old, '^({"order":%d+,"phx_ref":"[^"]*",)(.*)$')
      if head then
        keep(c, head .. '"leaving":true,' .. rest)
      end
    elseif op == 'g' or op == 'd' and old then
      drop(c)
    end
    refs[#refs + 1] = ''
    i = i + 2
  end
end
local body = ''
if v > v0 or ARGV[3] == '1' then
  local gone = {}
  for _, c in pairs(del) do
    gone[#gone + 1] = c
  end
  local n = redis.call('HLEN', KEYS[1])
  if n == 0 then
    redis.call('DEL', KEYS[2])
  else
    redis.call('SET', KEYS[2], text(v))
  end
  body = '{"event":"presence_diff","presence":{"from":' .. text(v0) .. ',"v":' .. text(v) .. ',"n":' .. n .. (fresh and ',"fresh":true' or '') ..
    ',"set":[' .. table.concat(set, ',') .. '],"del":[' .. table.concat(gone, ',') .. ']}}'
  if ARGV[1] ~= '' then
    redis.call('PUBLISH', ARGV[1], body)
    body = ''
  end
end
return {text(v), body, unpack(refs)}
`

// Bounds of one call of the script.
const (
	maxPresenceOps  = 500
	presenceOpSpace = 256 // bytes of what is told of an operation beside the body
)

// presenceOp is one operation of the script.
type presenceOp struct {
	topic string
	args  []any
	size  int    // bytes of what is told of it, at most
	entry *entry // the call of Track that it is, or nil
}

// showOp shows what m shows; hideOp shows it no more.
func showOp(m hub.Member) presenceOp {
	body := m.Presence.AppendBody(nil)
	return presenceOp{
		topic: m.Topic,
		args:  []any{"s", m.Connection, m.Presence.Ref, m.Presence.Prev, m.Presence.Adopt, body},
		size:  len(body) + len(m.Connection) + presenceOpSpace,
	}
}

func hideOp(m hub.Member) presenceOp { return endOp("d", m) }

// leaveOp takes back what m showed until now, or says that it has left and may come back.
func leaveOp(m hub.Member) presenceOp {
	if m.Lingers {
		return endOp("l", m)
	}
	return endOp("g", m)
}

func endOp(op string, m hub.Member) presenceOp {
	return presenceOp{topic: m.Topic, args: []any{op, m.Connection}, size: len(m.Connection) + presenceOpSpace}
}

// presenceReply is what the script returned.
type presenceReply struct {
	late    bool // nothing was done
	version uint64
	untold  string // to be told
	refs    []string
}

func parsePresenceReply(list []any, ops int) (r presenceReply, err error) {
	if len(list) < 2 {
		return r, errScript
	}
	text := func(i int) string {
		s, _ := list[i].(string)
		return s
	}
	if text(0) == "-1" {
		return presenceReply{late: true}, nil
	}
	if r.version, err = strconv.ParseUint(text(0), 10, 64); err != nil || len(list) != ops+2 {
		return r, errScript
	}
	r.untold = text(1)
	for i := range ops {
		r.refs = append(r.refs, text(i+2))
	}
	return r, nil
}
