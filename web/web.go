package web

import (
	"bytes"
	"embed"
	"html/template"
	"io/fs"
	"net/http"
)

// Page is what the page shows. The commands are whole lines for a shell.
type Page struct {
	SocketPath string // where the sockets are mounted
	Topic      string // the room to chat in
	Backend    string // who answers joins and pushes
	Admin      string // URL of the admin port
	Publish    string // command that says hello from Redis
	Rejoin     string // command that makes all clients join again
	Broken     string // command that publishes nonsense
	Members    string // command that lists the members
}

// view is what the template sees.
type view struct {
	Page
	Host    string // as the browser knows it
	Bundled bool   // phoenix.js is there
}

//go:embed page dist
var files embed.FS

var index = template.Must(template.ParseFS(files, "page/index.html"))

// policy lets the page load and reach nothing but this host.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; base-uri 'none'; " +
	"form-action 'none'; frame-ancestors 'none'; connect-src 'self' ws://"

// Bundled tells whether phoenix.js is built in.
func Bundled() bool {
	_, err := fs.Stat(files, "dist/phoenix.js")
	return err == nil
}

// Handler serves the page at /, its three files beside it, and leaves every other path to next.
func Handler(page Page, next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", next)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		if err := index.Execute(&body, view{page, r.Host, Bundled()}); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("content-security-policy", policy+r.Host)
		w.Header().Set("content-type", "text/html; charset=utf-8")
		w.Header().Set("cache-control", "no-store")
		_, _ = body.WriteTo(w) // the browser is gone if this fails
	})
	for path, file := range map[string]string{
		"/app.js": "page/app.js", "/style.css": "page/style.css", "/phoenix.js": "dist/phoenix.js",
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("cache-control", "no-store")
			http.ServeFileFS(w, r, files, file)
		})
	}
	return mux
}
