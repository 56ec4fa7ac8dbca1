// One bundle with both: the server's page calls page(), and anywidget calls render().
import { page } from "./page";
import { render } from "./widget";
import "./playground.css";

export { page };
export default { render };
