"""Names that targets know: code languages of Confluence's macro, emoji by short name."""

from __future__ import annotations

# What a fence says → what Cloud and Data Center both know.
LANGUAGES = {
    "bash": "bash", "sh": "bash", "shell": "bash", "zsh": "bash", "console": "bash", "c": "c", "cpp": "cpp", "c++": "cpp",
    "cs": "c#", "csharp": "c#", "c#": "c#", "css": "css", "diff": "diff", "patch": "diff", "erlang": "erl", "erl": "erl",
    "go": "go", "golang": "go", "groovy": "groovy", "java": "java", "js": "js", "javascript": "js", "json": "json",
    "ts": "typescript", "typescript": "typescript", "perl": "perl", "pl": "perl", "php": "php", "text": "text",
    "txt": "text", "plain": "text", "plaintext": "text", "log": "text", "powershell": "powershell", "ps1": "powershell",
    "py": "py", "python": "py", "python3": "py", "rb": "ruby", "ruby": "ruby", "rust": "rust", "rs": "rust",
    "scala": "scala", "sql": "sql", "xml": "xml", "html": "xml", "yaml": "yaml", "yml": "yaml", "ini": "ini", "toml": "ini",
}
EMOJI = {
    "+1": "👍", "-1": "👎", "thumbsup": "👍", "thumbsdown": "👎", "white_check_mark": "✅", "heavy_check_mark": "✔️",
    "x": "❌", "warning": "⚠️", "fire": "🔥", "rocket": "🚀", "bug": "🐛", "tada": "🎉", "eyes": "👀", "smile": "😄",
    "smiley": "😃", "heart": "❤️", "star": "⭐", "boom": "💥", "rotating_light": "🚨", "hourglass": "⌛", "lock": "🔒",
    "memo": "📝", "bulb": "💡", "construction": "🚧", "information_source": "ℹ️", "question": "❓", "exclamation": "❗",
    "red_circle": "🔴", "large_blue_circle": "🔵", "green_circle": "🟢", "yellow_circle": "🟡", "no_entry": "⛔",
    "phone": "☎️", "pager": "📟", "calendar": "📆", "link": "🔗", "wrench": "🔧", "hammer": "🔨", "zap": "⚡",
    "ok": "🆗", "clock1": "🕐", "mag": "🔍", "pushpin": "📌", "chart_with_upwards_trend": "📈", "turtle": "🐢",
}
