//! Pages in a real browser, Chromium without a window: what they look like, and what a script finds in them.

use std::path::PathBuf;
use std::process::Command;

use base64::Engine as _;
use linli_store::testing::ScratchDir;
use serde_json::Value;

use crate::built::Tool;

/// Seconds that one page may take on a busy machine.
const PATIENCE_S: &str = "120";

/// A browser with a profile of its own, which goes with this value.
pub struct Browser {
    program: PathBuf,
    folder: ScratchDir,
}

/// A picture of a page, as far as a test can judge it.
#[derive(Debug)]
pub struct Picture {
    pub width: u64,
    pub height: u64,
    /// How many colours it has.
    pub colours: u64,
    /// The share of the most frequent colour, 0 to 1.
    pub most_frequent: f64,
}

impl Browser {
    /// `None`, said aloud, where there is no Chromium. With `CI=true` that fails.
    pub fn find() -> Option<Self> {
        Tool::Chromium.find().map(|program| Self { program, folder: ScratchDir::new() })
    }

    /// What a script finds in a page that is so wide: it ends with `found(value)`. The page is looked at in a frame, so that
    /// it may be narrower than a window can be.
    pub fn look(&self, page: &str, width: u32, script: &str) -> Value {
        let told = format!(
            "<script>const found = value => parent.postMessage(JSON.stringify(value), '*');\
             addEventListener('load', () => {{ {script} }});</script></body>"
        );
        self.write("looked-at.html", &page.replace("</body>", &told));
        self.write(
            "frame.html",
            &format!(
                "<!DOCTYPE html><meta charset=\"utf-8\"><body style=\"margin:0\"><pre id=\"found\"></pre>\
                 <script>addEventListener('message', told => {{ \
                 document.getElementById('found').textContent = btoa(unescape(encodeURIComponent(told.data))); }});</script>\
                 <iframe src=\"looked-at.html\" style=\"width:{width}px;height:900px;border:0\"></iframe></body>"
            ),
        );
        let dom =
            self.run("frame.html", &["--virtual-time-budget=10000", "--dump-dom", "--window-size=1600,1200"]);
        let (_, rest) = dom.split_once("<pre id=\"found\">").expect("the frame was read");
        let (encoded, _) = rest.split_once("</pre>").expect("the element ends");
        let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).expect("base64");
        serde_json::from_slice(&bytes)
            .unwrap_or_else(|error| panic!("the script found nothing ({error}): {dom}"))
    }

    /// A picture of the upper part of a page that is so wide. With `LINLI_PICTURES` set to a folder, it stays there for people.
    pub fn picture(&self, page: &str, width: u32, height: u32, name: &str) -> Picture {
        self.write("page.html", page);
        let frame = format!(
            "<!DOCTYPE html><body style=\"margin:0\"><iframe src=\"page.html\" \
             style=\"width:{width}px;height:{height}px;border:0;display:block\"></iframe></body>"
        );
        self.write("picture.html", &frame);
        let file = self.folder.path().join("picture.png");
        let wide = width.max(500);
        let screenshot = format!("--screenshot={}", file.display());
        let size = format!("--window-size={wide},{height}");
        self.run("picture.html", &[&screenshot, &size, "--hide-scrollbars", "--virtual-time-budget=5000"]);
        let bytes = std::fs::read(&file).expect("the browser made a picture");
        if let Some(folder) = std::env::var_os("LINLI_PICTURES") {
            std::fs::write(PathBuf::from(folder).join(format!("{name}.png")), &bytes).unwrap();
        }
        self.judge(&bytes, width)
    }

    /// Counts the colours of a picture, in the browser too: within the width of the page.
    fn judge(&self, png: &[u8], width: u32) -> Picture {
        let encoded = base64::engine::general_purpose::STANDARD.encode(png);
        let page = format!(
            "<!DOCTYPE html><body><img id=\"picture\" src=\"data:image/png;base64,{encoded}\"></body>"
        );
        let script = format!(
            "const picture = document.getElementById('picture');\
             const canvas = document.createElement('canvas');\
             canvas.width = Math.min({width}, picture.naturalWidth); canvas.height = picture.naturalHeight;\
             const context = canvas.getContext('2d'); context.drawImage(picture, 0, 0);\
             const pixels = new Uint32Array(context.getImageData(0, 0, canvas.width, canvas.height).data.buffer);\
             const counts = new Map(); for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) || 0) + 1);\
             found([canvas.width, canvas.height, counts.size, Math.max(...counts.values()) / pixels.length]);"
        );
        let told = self.look(&page, 1_600, &script);
        Picture {
            width: told[0].as_u64().unwrap(),
            height: told[1].as_u64().unwrap(),
            colours: told[2].as_u64().unwrap(),
            most_frequent: told[3].as_f64().unwrap(),
        }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Opens a file of the folder; the network is out of reach.
    fn run(&self, file: &str, options: &[&str]) -> String {
        let profile = self.folder.path().join("profile");
        let output = Command::new("timeout")
            .arg(PATIENCE_S)
            .arg(&self.program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-dev-shm-usage",
                "--host-resolver-rules=MAP * ~NOTFOUND",
                "--allow-file-access-from-files",
                "--force-device-scale-factor=1",
            ])
            .arg(format!("--user-data-dir={}", profile.display()))
            .args(options)
            .arg(format!("file://{}", self.folder.path().join(file).display()))
            .output()
            .expect("`timeout` of coreutils runs");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{}: {err}", self.program.display());
        out.into_owned()
    }
}
