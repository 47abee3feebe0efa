-- wrk: posts the files of a folder in turn and prints what it measured as one line of JSON.
-- arguments: the folder, how many files, then name and value of each header in turn

local requests, number = {}, 0

function init(arguments)
  local headers = {}
  for k = 3, #arguments, 2 do
    headers[arguments[k]] = arguments[k + 1]
  end
  for k = 0, tonumber(arguments[2]) - 1 do
    local file = io.open(string.format("%s/%02d", arguments[1], k), "rb")
    requests[k + 1] = wrk.format("POST", nil, headers, file:read("*a"))
    file:close()
  end
end

function request()
  number = number % #requests + 1
  return requests[number]
end

function done(summary, latency, calls)
  local errors = summary.errors
  print(string.format(
    '{"requests": %d, "seconds": %.6f, "p50": %.3f, "p95": %.3f, "p99": %.3f, "refused": %d, "broken": %d}',
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
