package console_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/console"
)

func Example() {
	b, err := samsa.Open("", samsa.Options{InMemory: true})
	if err != nil {
		panic(err)
	}
	defer b.Close()
	if err := b.Topics().Create(context.Background(), "web_log", samsa.TopicConfig{Partitions: 3}); err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/samsa/", http.StripPrefix("/samsa", console.Handler(b, console.Options{Write: true})))
	// http.ListenAndServe("127.0.0.1:9080", mux) serves it at http://127.0.0.1:9080/samsa/.
	server := httptest.NewServer(mux)
	defer server.Close()
	answer, err := http.Get(server.URL + "/samsa/topic?name=web_log")
	if err != nil {
		panic(err)
	}
	defer answer.Body.Close()
	fmt.Println(answer.Status, answer.Header.Get("Content-Type"))
	// Output: 200 OK text/html; charset=utf-8
}
