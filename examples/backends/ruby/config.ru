# A chat behind Roost, as a Rack application.
require "json"
require "openssl"

KEY = ENV.fetch("ROOST_WEBHOOK_SECRET").delete_prefix("whsec_").unpack1("m")

# Standard Webhooks: by Roost, and within five minutes.
def signed?(env, body)
  id, stamp, given = %w[ID TIMESTAMP SIGNATURE].map { |name| env["HTTP_WEBHOOK_#{name}"].to_s }
  want = "v1," + [OpenSSL::HMAC.digest("SHA256", KEY, "#{id}.#{stamp}.#{body}")].pack("m0")
  given.split.any? { |s| OpenSSL.secure_compare(want, s) } && (Time.now.to_i - stamp.to_i).abs < 300
end

def answer(call)
  case call
  in {type: "socket.connect", data: {params: {nick: /./ => nick}}} # a real one looks at auth_token
    {status: "ok", id: "user:#{nick}", assigns: {nick: nick}}
  in {type: "channel.join", data: {topic: "rooms:secret"}}
    {status: "error", response: {reason: "members only"}}
  in {type: "channel.join", data: {assigns: {nick:}}}
    {status: "ok", presence: {key: nick}}
  in {type: "channel.push", data: {event: "new_msg", payload: {body: String => body}, assigns: {nick:}}}
    {status: "ok", broadcast: [{event: "new_msg", payload: {nick: nick, body: body}}]}
  in {type: "channel.leave", data: {topic:, reason:, assigns: {nick:}}}
    warn "#{nick} left #{topic} #{reason}"
    {}
  else
    {status: "error", response: {reason: "not a message"}}
  end
end

run lambda { |env|
  body = env["rack.input"].read
  next [401, {}, []] unless signed?(env, body)
  [200, {"content-type" => "application/json"}, [answer(JSON.parse(body, symbolize_names: true)).to_json]]
}
