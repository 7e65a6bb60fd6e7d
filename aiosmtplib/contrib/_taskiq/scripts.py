"""Keys in Redis, and the scripts that change several of them at once.

Each script can run twice: a client that lost the connection does not know whether it ran. Times are those of
the server, in seconds, so that the clocks of the workers do not matter.

``stream``
    Messages that are to be sent, in the format of taskiq; a consumer group hands them to workers.
``workers``
    The workers, by when they were last heard of; 0 for one that has left, or was given up.
``ledger``
    Messages whose content may be on its way, by their identifier in the stream.
``later``, ``waiting``
    Messages that are to be sent again, by when; and what they are.
``steady``
    Since when workers could be heard without a break.
``held``, ``dead``, ``reasons``
    Messages that wait for a person, messages that have failed, and why the latter have.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ("Keys",)

_NOW = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
"""

#: Add messages to the stream. Once for each ``call``.
#: KEYS: call, stream. ARGV: messages.
ENQUEUE = """
if redis.call('SET', KEYS[1], 1, 'NX', 'EX', 600) then
    for _, data in ipairs(ARGV) do redis.call('XADD', KEYS[2], '*', 'data', data) end
end
return #ARGV
"""

#: Say that a worker lives, put what is due into the stream, and name workers that are silent or have left.
#: Where Redis was away, all workers are silent, and none counts as such until each had its time to be heard.
#: KEYS: workers, later, waiting, stream, steady. ARGV: name, lease, how many to move, "1" to join.
TICK = (
    _NOW
    + """
local score = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0)
if score == 0 and ARGV[4] ~= '1' then return {-1, {}} end
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
if not last or now - last > ARGV[2] / 2 then redis.call('SET', KEYS[5], now) end
redis.call('ZADD', KEYS[1], now, ARGV[1])
local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, ARGV[3])
if #due > 0 then
    for _, data in ipairs(redis.call('HMGET', KEYS[3], unpack(due))) do
        if data then redis.call('XADD', KEYS[4], '*', 'data', data) end
    end
    redis.call('ZREM', KEYS[2], unpack(due))
    redis.call('HDEL', KEYS[3], unpack(due))
end
local steady = now - (redis.call('GET', KEYS[5]) or 0) > tonumber(ARGV[2])
return {#due, redis.call('ZRANGEBYSCORE', KEYS[1], 0, steady and now - ARGV[2] or 0)}
"""
)

#: Say that content may be on its way, unless the worker was given up.
#: KEYS: workers, ledger. ARGV: name, identifiers.
UNDER_WAY = """
if tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0) == 0 then return 0 end
local marks = {}
for place = 2, #ARGV do
    marks[#marks + 1] = ARGV[place]
    marks[#marks + 1] = ARGV[1]
end
redis.call('HSET', KEYS[2], unpack(marks))
return 1
"""

#: Take over what a worker had that is silent for longer than the lease, or has left; nothing once all is.
#: KEYS: workers, stream, ledger. ARGV: group, name, the other one, lease, how many.
RECLAIM = (
    _NOW
    + """
local score = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[3]) or -1)
if score < 0 or score > now - ARGV[4] then return {} end
redis.call('ZADD', KEYS[1], 0, ARGV[3])
local ids = {}
for _, each in ipairs(redis.call('XPENDING', KEYS[2], ARGV[1], '-', '+', ARGV[5], ARGV[3])) do
    ids[#ids + 1] = each[1]
end
if #ids == 0 then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[2], ARGV[1], ARGV[3])
    redis.call('ZREM', KEYS[1], ARGV[3])
    return {}
end
local taken = {}
local claimed = redis.call('XCLAIM', KEYS[2], ARGV[1], ARGV[2], 0, unpack(ids))
for _, each in ipairs(claimed) do
    taken[#taken + 1] = {each[1], each[2], redis.call('HEXISTS', KEYS[3], each[1])}
end
return taken
"""
)

#: Write down what became of messages and what comes next, each once.
#: What is only put off, with the name of its worker as the reason, nobody may have taken over by now.
#: KEYS: stream, ledger, later, waiting, held, dead, reasons, workers. ARGV: group, the number of those that
#: are done, their identifiers; then for each other its identifier, and how many of these follow: what,
#: identifier, seconds, message, reason.
FINISH = (
    _NOW
    + """
local done = {}
local place = 3
for _ = 1, ARGV[2] do
    done[#done + 1] = ARGV[place]
    place = place + 1
end
if #done > 0 then
    redis.call('XACK', KEYS[1], ARGV[1], unpack(done))
    redis.call('XDEL', KEYS[1], unpack(done))
    redis.call('HDEL', KEYS[2], unpack(done))
end
while place < #ARGV do
    local id, parts = ARGV[place], tonumber(ARGV[place + 1])
    local first = true
    if ARGV[place + 2] == 'off' then
        first = tonumber(redis.call('ZSCORE', KEYS[8], ARGV[place + 6]) or 0) > 0
    end
    first = first and redis.call('XACK', KEYS[1], ARGV[1], id) == 1
    if first then
        redis.call('XDEL', KEYS[1], id)
        redis.call('HDEL', KEYS[2], id)
    end
    place = place + 2
    for _ = 1, parts do
        local what, name, data = ARGV[place], ARGV[place + 1], ARGV[place + 3]
        if first and (what == 'again' or what == 'off') then
            redis.call('ZADD', KEYS[3], now + ARGV[place + 2], name)
            redis.call('HSET', KEYS[4], name, data)
        elseif first and what == 'held' then
            redis.call('HSET', KEYS[5], name, data)
        elseif first then
            redis.call('HSET', KEYS[6], name, data)
            redis.call('HSET', KEYS[7], name, ARGV[place + 4])
        end
        place = place + 5
    end
end
return 1
"""
)

#: Moments for messages at shared rates. A message needs one of the relay, and one of each domain with a rate.
#: If the relay has none soon, the rest get no answer; if a domain has none, that message is to come back.
#: KEYS: for each rate, its next moment, and then for each the next moment to come back. ARGV: how far ahead,
#: how late to come back at most, the number of rates, "1" if the first is that of the relay, the seconds
#: between two messages of each; then for each message the number of its domains, and their places.
#: Returns for each message seconds from now, negative ones for coming back, as text.
RATE = (
    _NOW
    + """
local ahead, latest, count = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local relay = ARGV[4] == '1'
local moments = redis.call('MGET', unpack(KEYS))
for index = 1, 2 * count do moments[index] = math.max(tonumber(moments[index] or now) or now, now) end
local steps, changed, answer = {}, {}, {}
for index = 1, count do steps[index] = tonumber(ARGV[4 + index]) end
local place = 5 + count
while place <= #ARGV do
    if relay and moments[1] > now + ahead then break end
    local moment = relay and moments[1] or now
    local last = 0
    local own = {}
    for _ = 1, ARGV[place] do
        place = place + 1
        local index = tonumber(ARGV[place])
        own[#own + 1] = index
        if moments[index] > moment then moment, last = moments[index], index end
    end
    place = place + 1
    if moment > now + ahead then
        local back = math.max(moments[count + last], moment)
        moments[count + last] = back + steps[last]
        changed[count + last] = true
        answer[#answer + 1] = string.format('%.6f', -math.min(back - now, latest))
    else
        if relay then own[#own + 1] = 1 end
        for _, index in ipairs(own) do
            moments[index] = math.max(moments[index], index > 1 and moment or now) + steps[index]
            changed[index] = true
        end
        answer[#answer + 1] = string.format('%.6f', moment - now)
    end
end
for index in pairs(changed) do
    redis.call('SET', KEYS[index], string.format('%.6f', moments[index]), 'PXAT',
        string.format('%.0f', (moments[index] + 1) * 1000))
end
return answer
"""
)

#: Put back into the stream what waits for a person, or has failed. KEYS: held or dead, stream, reasons.
#: ARGV: identifier, message.
PUT_BACK = """
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('XADD', KEYS[2], '*', 'data', ARGV[2])
return 1
"""

#: Hold what is to be sent later. KEYS: later, waiting, held. ARGV: identifier.
HOLD_LATER = """
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[3], ARGV[1], redis.call('HGET', KEYS[2], ARGV[1]))
redis.call('HDEL', KEYS[2], ARGV[1])
return 1
"""

#: Hold what no worker has had. KEYS: stream, held. ARGV: group, identifier in the stream, that of the entry,
#: message.
HOLD_NEW = """
if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1) > 0 then return 0 end
if redis.call('XDEL', KEYS[1], ARGV[2]) == 0 then return 0 end
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
return 1
"""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one outbox. The braces keep them on one node of a cluster."""

    stream: str
    workers: str
    ledger: str
    later: str
    waiting: str
    held: str
    dead: str
    reasons: str
    rate: str
    call: str
    steady: str

    @classmethod
    def of(cls, name: str) -> Keys:
        """The keys of the outbox of this name."""
        return cls(*(f"{{{name}}}:{field.name}" for field in fields(cls)))
