<?php // A chat behind Roost.

// Standard Webhooks: by Roost, and within five minutes.
function signed(string $body): bool
{
    $key = base64_decode(substr(getenv('ROOST_WEBHOOK_SECRET'), strlen('whsec_')));
    [$id, $stamp, $given] = array_map(fn ($name) => $_SERVER["HTTP_WEBHOOK_$name"] ?? '', ['ID', 'TIMESTAMP', 'SIGNATURE']);
    $want = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$stamp.$body", $key, true));
    $known = array_filter(explode(' ', $given), fn ($signature) => hash_equals($want, $signature));
    return $known && abs(time() - (int) $stamp) < 300;
}

function answer(string $type, object $data): array
{
    [$name, $nick, $body] = [$data->params->nick ?? '', $data->assigns->nick ?? '', $data->payload->body ?? null];
    if ($type === 'socket.connect' && is_string($name) && $name !== '') { // a real one looks at auth_token
        return ['status' => 'ok', 'id' => "user:$name", 'assigns' => ['nick' => $name]];
    }
    if ($type === 'channel.join' && $data->topic !== 'rooms:secret' && $nick !== '') {
        return ['status' => 'ok', 'presence' => ['key' => $nick]];
    }
    if ($type === 'channel.push' && $data->event === 'new_msg' && is_string($body)) {
        return ['status' => 'ok', 'broadcast' => [['event' => 'new_msg', 'payload' => ['nick' => $nick, 'body' => $body]]]];
    }
    if ($type === 'channel.leave') {
        error_log("$nick left $data->topic $data->reason");
    }
    return ['status' => 'error', 'response' => ['reason' => 'members only']];
}

$body = file_get_contents('php://input');
if (!signed($body)) {
    http_response_code(401);
    exit;
}
$call = json_decode($body);
header('content-type: application/json');
echo json_encode(answer($call->type, $call->data));
