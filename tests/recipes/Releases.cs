// Copy it as the Program.cs of a console project of .NET 6 or later (`dotnet new console`), with
// implicit usings as that template has them. MOCKBM_URL is the address of the mock.
using System.Net.Http.Json;

var mock = new Uri(Environment.GetEnvironmentVariable("MOCKBM_URL") ?? "http://127.0.0.1:8080");
using var admin = new HttpClient { BaseAddress = mock };
using var client = new HttpClient { BaseAddress = mock };

var opened = await admin.PostAsJsonAsync("/__admin/sessions", new { scenario = "documented" });
var session = (await opened.Content.ReadFromJsonAsync<Session>())!;
client.DefaultRequestHeaders.Add("X-ApiKey", session.ApiKey);
await admin.PutAsJsonAsync(session.Links["scenario"], new { name = "empty" });
if (await client.GetStringAsync("/api/releases") != "[]") throw new Exception("not empty");
await admin.DeleteAsync(session.Links["self"]);

record Session(string ApiKey, Dictionary<string, string> Links);
