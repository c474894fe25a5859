-- Refuse an Object Lock of the client's own: with it a 30-day default becomes 5 seconds, and the gateway asks for no
-- permission (Ceph 20.2.4). The default retention of the bucket, from the tenant's file, then holds for every object.
for _, header in ipairs({ "mode", "retain-until-date", "legal-hold" }) do
  if Request.HTTP.Metadata["x-amz-object-lock-" .. header] ~= nil then
    return RGW_ABORT_REQUEST
  end
end
