-- Charges all limits of one request, or none: the buckets of bucket.rs and the counts of quota.rs over what is shared.
-- KEYS: one for each limit. ARGV[1]: microseconds since 2026, or '' for the server's own clock. Then five for each key:
--   't', microseconds that a token takes to come back, burst, '', ''
--   'q', limit, seconds to keep the count, count to begin with when there is none, requests that were counted elsewhere
-- Answers {which refused or 0, milliseconds to wait or -1, then for each key: left, milliseconds until all is there}.
local now
if ARGV[1] == '' then
  local time = redis.call('TIME')
  now = (tonumber(time[1]) - 1767225600) * 1000000 + tonumber(time[2])
else
  now = tonumber(ARGV[1])
end

local refused, wait = 0, -1
local held = {}
for i, key in ipairs(KEYS) do
  local at = 2 + (i - 1) * 5
  local state = tonumber(redis.call('GET', key) or '')
  if ARGV[at] == 't' then
    local interval, burst = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    local horizon = now + interval * burst
    -- No bucket is further from full than empty: a clock that was set back must not shut it for longer.
    held[i] = math.min(math.max(state or 0, now), horizon)
    -- Doubles of this size are exact to a fiftieth of a microsecond.
    local over = held[i] + interval - horizon
    if refused == 0 and over > 0.05 then
      refused, wait = i, math.ceil(over / 1000)
    end
  else
    held[i] = (state or tonumber(ARGV[at + 3])) + tonumber(ARGV[at + 4])
    if refused == 0 and held[i] >= tonumber(ARGV[at + 1]) then
      refused = i
    end
  end
end

local answer = { refused, wait }
for i, key in ipairs(KEYS) do
  local at = 2 + (i - 1) * 5
  if ARGV[at] == 't' then
    local interval, burst = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    if refused == 0 then
      held[i] = held[i] + interval
      local kept = math.ceil((held[i] - now) / 1000) + 1000
      redis.call('SET', key, string.format('%.3f', held[i]), 'PX', string.format('%d', kept))
    end
    answer[#answer + 1] = math.max(0, math.floor((now + interval * burst - held[i]) / interval + 0.001))
    answer[#answer + 1] = math.ceil((held[i] - now) / 1000)
  else
    if refused == 0 then
      held[i] = held[i] + 1
    end
    if refused == 0 or tonumber(ARGV[at + 4]) > 0 then
      redis.call('SET', key, string.format('%d', held[i]), 'EX', ARGV[at + 2])
    end
    answer[#answer + 1] = math.max(0, tonumber(ARGV[at + 1]) - held[i])
    answer[#answer + 1] = 0
  end
end
return answer
