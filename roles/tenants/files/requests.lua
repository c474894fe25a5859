-- RGW goes on with a request whose script ended with an error: ours refuses it then.
local whole, answer = pcall(function()
  -- Refuse an Object Lock of the client's own: with it a 30-day default becomes 5 seconds, and the gateway asks for no
  -- permission (Ceph 20.2.4). The default retention of the bucket, from the tenant's file, then holds for every object.
  for _, header in ipairs({ "mode", "retain-until-date", "legal-hold" }) do
    if Request.HTTP.Metadata["x-amz-object-lock-" .. header] ~= nil then
      return RGW_ABORT_REQUEST
    end
  end

  -- The default encryption of a bucket reaches neither an append nor a copy, and no policy sees how a copy asks for
  -- encryption (Ceph 20.2.4). So nothing is appended, and a copy must ask for AES256; a parameter would outdo the header.
  local sent, asked = Request.HTTP.Metadata, Request.HTTP.Parameters
  if asked["append"] ~= nil then
    return RGW_ABORT_REQUEST
  end
  if Request.RGWOp == "copy_obj" then
    local name = "x-amz-server-side-encryption"
    local customer = name .. "-customer-algorithm"
    if sent[name] ~= "AES256" or asked[name] ~= nil or sent[customer] ~= nil or asked[customer] ~= nil then
      return RGW_ABORT_REQUEST
    end
  end
end)

if not whole then
  return RGW_ABORT_REQUEST
end
return answer
