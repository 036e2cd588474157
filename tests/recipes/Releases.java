// Run it with Java 11 or later: `java Releases.java`. The key is pinned to a scenario, so nothing
// has to be switched, and no JSON has to be read. MOCKBM_URL is the address of the mock.
import java.net.URI;
import java.net.http.*;
import java.net.http.HttpResponse.BodyHandlers;

class Releases {
    public static void main(String[] args) throws Exception {
        String mock = System.getenv().getOrDefault("MOCKBM_URL", "http://127.0.0.1:8080");
        HttpRequest request = HttpRequest.newBuilder(URI.create(mock + "/api/releases"))
            .header("X-ApiKey", "abc12345@empty")
            .build();
        String body = HttpClient.newHttpClient().send(request, BodyHandlers.ofString()).body();
        if (!body.equals("[]")) throw new AssertionError(body);
    }
}
