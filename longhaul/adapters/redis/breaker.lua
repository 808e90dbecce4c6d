-- The breaker of one provider. Redis' clock is the only one; times are in ms.
--
-- KEYS[1]  a hash: f  times of the latest failures, without a success between them
--                  t  trips since it was last closed; 0 means closed
--                  o  open until
--                  p  when the call began that probes, if one does
--                  c  when it opened last: outcomes of older calls do not count
-- ARGV     operation, when the call began, then the rules
local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000
local kept = redis.call('HMGET', KEYS[1], 'f', 't', 'o', 'p', 'c')
local failures = cjson.decode(kept[1] or '[]')
local t, o, p = tonumber(kept[2]) or 0, tonumber(kept[3]) or 0, tonumber(kept[4]) or 0
local c = tonumber(kept[5]) or 0
local began = tonumber(ARGV[2])
local limit, window = tonumber(ARGV[3]), tonumber(ARGV[4])
local first, longest = tonumber(ARGV[5]), tonumber(ARGV[6])
local patience, idle = tonumber(ARGV[7]), tonumber(ARGV[8])

-- Lua would print 14 digits, which is a tenth of a second short.
local function text(number) return string.format('%.3f', number) end

local function keep()
    local times = {}
    for i, time in ipairs(failures) do times[i] = text(time) end
    redis.call('HSET', KEYS[1], 'f', '[' .. table.concat(times, ',') .. ']', 't', t,
        'o', text(o), 'p', text(p), 'c', text(c))
    redis.call('PEXPIRE', KEYS[1], math.ceil(math.max(0, o - now) + idle))
end

local on = {}

-- How long to wait before asking again, when the call began, whether it is the probe.
function on.enter()
    if t == 0 then return {'0', text(now), 0} end
    if now < o then return {text(o - now), '', 0} end
    if p > 0 and now < p + patience then return {text(p + patience - now), '', 0} end
    p = tonumber(text(now))
    keep()
    return {'0', text(now), 1}
end

function on.stands()
    return began > c and (t == 0 or began == p) and 1 or 0
end

function on.succeeded()
    if began <= c or (t == 0 and #failures == 0) then return 0 end
    failures, t, o, p = {}, 0, 0, 0
    keep()
    return 1
end

function on.failed()
    if began <= c then return 0 end
    failures[#failures + 1] = now
    while failures[1] < now - window do table.remove(failures, 1) end
    if t > 0 or #failures >= limit then
        t = t + 1
        o = now + math.min(first * 2 ^ (t - 1), longest)
        failures, p, c = {}, 0, now
    end
    keep()
    return t
end

function on.abandoned()
    if began ~= p then return 0 end
    p = 0
    keep()
    return 1
end

return on[ARGV[1]]()
