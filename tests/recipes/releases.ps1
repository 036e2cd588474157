# Run it with PowerShell 5.1 or later: `pwsh releases.ps1`. MOCKBM_URL is the address of the mock.
$ErrorActionPreference = 'Stop'
$mock = if ($env:MOCKBM_URL) { $env:MOCKBM_URL } else { 'http://127.0.0.1:8080' }
$json = @{ ContentType = 'application/json' }

$session = Invoke-RestMethod "$mock/__admin/sessions" -Method Post @json -Body '{"scenario": "documented"}'
try {
    $key = @{ 'X-ApiKey' = $session.apiKey }
    $null = Invoke-RestMethod ($mock + $session.links.scenario) -Method Put @json -Body '{"name": "empty"}'
    $releases = Invoke-RestMethod "$mock/api/releases" -Headers $key
    if ($releases.Count -ne 0) { throw "$($releases.Count) releases instead of none" }
} finally {
    $null = Invoke-RestMethod ($mock + $session.links.self) -Method Delete
}
