-- One exchange of one instance. All clocks are the server's own: a score is when an entry expires, in its milliseconds.
--
-- KEYS: the instances, then the votes of each circuit.
-- ARGV: the instance, its time to live in milliseconds, the longest that anybody may choose, the share of the instances
-- that is a quorum, the channel, then for each circuit what to do and its key.
-- Returns the number of instances, then for each circuit the number of votes of the others.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local instance, ttl, longest = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

-- What expires later than anybody can have said is of before the clock was set back.
local function expire(key)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  redis.call('ZREMRANGEBYSCORE', key, '(' .. (now + longest), '+inf')
end

expire(KEYS[1])
redis.call('ZADD', KEYS[1], now + ttl, instance)
redis.call('PEXPIRE', KEYS[1], longest)
local instances = redis.call('ZCARD', KEYS[1])
local quorum = math.max(2, math.ceil(ARGV[4] * instances - 1e-9))

local answer = { instances }
for i = 2, #KEYS do
  local key, action, name = KEYS[i], ARGV[2 * i + 2], ARGV[2 * i + 3]
  if action == 'vote' then
    expire(key)
    local is_new = redis.call('ZADD', key, now + ttl, instance) == 1
    redis.call('PEXPIRE', key, longest)
    if is_new and redis.call('ZCARD', key) == quorum then
      redis.call('PUBLISH', ARGV[5], name)
    end
  elseif action == 'withdraw' then
    redis.call('ZREM', key, instance)
  end
  local votes = redis.call('ZCOUNT', key, '(' .. now, now + longest)
  local own = votes > 0 and tonumber(redis.call('ZSCORE', key, instance) or 0) or 0
  if own > now and own <= now + longest then
    votes = votes - 1
  end
  answer[i] = votes
end
return answer
