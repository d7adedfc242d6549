package console

import (
	"embed"
	"io/fs"
	"mime"
	"net/http"
	"path"
)

//go:embed assets
var assetFiles embed.FS

// types are told to browsers. A machine's own table may know no modules, and they are refused then.
var types = map[string]string{".mjs": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}

// assets serves what pages are made of. A browser asks each time whether they have changed.
func assets() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := fs.ReadFile(assetFiles, path.Clean(r.URL.Path)[1:])
		if err != nil {
			http.NotFound(w, r)
			return
		}
		kind, ok := types[path.Ext(r.URL.Path)]
		if !ok {
			kind = mime.TypeByExtension(path.Ext(r.URL.Path))
		}
		if kind == "" {
			kind = "text/plain; charset=utf-8"
		}
		w.Header().Set("Content-Type", kind)
		unlessSame(w, r, body)
	})
}
