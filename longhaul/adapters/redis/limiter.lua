-- The book of turns: who may start when. Redis' clock is the only one; times are in ms.
--
-- KEYS[1]  a hash: r, k  when the buckets of requests and tokens will be full again
--                  s     the latest start that was given
--                  c     closed until
--                  g     generation: turns given before the last closing are void
-- ARGV     operation, then ms per request, requests at once, ms per token, tokens at once,
--          how long the book is kept when nothing happens, then what the operation takes
local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000
local kept = redis.call('HMGET', KEYS[1], 'r', 'k', 's', 'c', 'g')
local r, k, s = tonumber(kept[1]) or 0, tonumber(kept[2]) or 0, tonumber(kept[3]) or 0
local c, g = tonumber(kept[4]) or 0, tonumber(kept[5]) or 0
local per_request, requests = tonumber(ARGV[2]), tonumber(ARGV[3])
local per_token, tokens = tonumber(ARGV[4]), tonumber(ARGV[5])

-- Lua would print 14 digits, which is a tenth of a second short.
local function text(number) return string.format('%.3f', number) end

local function keep()
    redis.call('HSET', KEYS[1], 'r', text(r), 'k', text(k), 's', text(s), 'c', text(c), 'g', g)
    local idle = math.max(0, r - now, k - now, s - now, c - now) + tonumber(ARGV[6])
    redis.call('PEXPIRE', KEYS[1], math.ceil(idle))
end

local take = {}

-- n: never earlier than an earlier turn, a closing, or either bucket. What is larger than its
-- bucket waits for a full one, and its debt is paid by those who follow.
function take.take()
    local n = tonumber(ARGV[7])
    local start = math.max(now, c, s, r + per_request - requests * per_request,
        k + math.min(n, tokens) * per_token - tokens * per_token)
    local before = {text(r), text(k), text(s)}
    r = math.max(r, start) + per_request
    k = math.max(k, start) + n * per_token
    s = start
    keep()
    return {text(start - now), text(start), g, unpack(before)}
end

-- g: 1 while the turns of a generation stand.
function take.stands()
    return g == tonumber(ARGV[7]) and 1 or 0
end

-- ms: the requests' bucket is empty afterwards, so that no crowd rushes in when it opens.
function take.close()
    c = math.max(c, now + tonumber(ARGV[7]))
    r, k, s = c + (requests - 1) * per_request, math.min(k, c), c
    g = g + 1
    keep()
    return g
end

-- g, tokens too many: after a closing the buckets no longer hold what was taken before.
function take.settle()
    if g ~= tonumber(ARGV[7]) or not kept[2] then return 0 end
    k = k - tonumber(ARGV[8]) * per_token
    keep()
    return 1
end

-- g, n, start, r, k and s before: as if the turn had never been given, where it was the last one.
function take.cancel()
    if g ~= tonumber(ARGV[7]) or not kept[2] then return 0 end
    if text(s) == ARGV[9] then
        r, k, s = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])
    else
        r, k = r - per_request, k - tonumber(ARGV[8]) * per_token
    end
    keep()
    return 1
end

return take[ARGV[1]]()
